"""Linkers as processes."""

import pytest

from tests.support.commands import COMMANDS
from tests.support.servers import ROOT, environment


@pytest.fixture
def linker_process(tmp_path, valkey):
    """`linker_process(migrated_store_url)` starts a linker; all are stopped at the end."""
    started = []

    def start(url):
        settings = environment(
            COPYDESK_DATABASE_URL=url, COPYDESK_REDIS_URL=valkey.url, COPYDESK_DATA_DIR=str(tmp_path)
        )
        with (tmp_path / f"linker{len(started)}.log").open("wb") as log:
            started.append(
                COMMANDS.start([], cwd=ROOT, env=settings, out=log.fileno(), err=log.fileno(),
                               module="worker.linking.process")
            )  # fmt: skip
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()
