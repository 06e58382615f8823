"""Linkers as processes."""

import subprocess
import sys

import pytest

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
                subprocess.Popen([sys.executable, "-m", "worker.linking.process"], env=settings, cwd=ROOT, stderr=log)
            )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()
