"""SIGKILL of the worker and all its children in the middle of a run does not change the result."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.e2e.documents import write_documents
from tests.e2e.stored import stored
from tests.support.commands import RESERVES
from tests.support.servers import copydesk, main_processes, processes_naming, results, until
from worker.settings import embedded_redis_url

COUNT = 240  # in 12 batches; two kills happen during it
# The shortest lease that the order of time-outs allows: entries of a killed process come back after it.
SHORT = {"COPYDESK_STATEMENT_SECONDS": "2", "COPYDESK_IDLE_TRANSACTION_SECONDS": "2.5", "COPYDESK_TASK_SECONDS": "3",
         "COPYDESK_LEASE_SECONDS": "4", "COPYDESK_LINK": "false", "COPYDESK_BATCH_DOCUMENTS": "20", RESERVES: "3"}  # fmt: skip


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    return write_documents(tmp_path_factory.mktemp("documents") / "in", COUNT)


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_killing_a_worker_in_the_middle_does_not_change_the_result(store, documents, tmp_path, request):
    quiet, rough = tmp_path / "quiet", tmp_path / "rough"
    quiet.mkdir()
    rough.mkdir()
    with contextlib.ExitStack() as stack:
        if store == "postgresql":
            postgres = request.getfixturevalue("postgres")
            urls = {folder: stack.enter_context(postgres.migrated_database()) for folder in (quiet, rough)}
            settings = {folder: {"COPYDESK_DATABASE_URL": url} for folder, url in urls.items()}
        else:
            urls = {folder: f"sqlite:///{folder}/.copydesk/copydesk.db" for folder in (quiet, rough)}
            settings = {quiet: {}, rough: {}}
        compare_runs(documents, quiet, rough, urls, settings)


def compare_runs(documents, quiet, rough, urls, settings):
    undisturbed = copydesk("ingest", documents, "--json", cwd=quiet, COPYDESK_LINK="false", **settings[quiet])
    _, summary = results(undisturbed.stdout)
    assert summary["submitted"] == COUNT == sum(summary.values()) - COUNT, undisturbed.stderr

    client = redis.Redis.from_url(embedded_redis_url(rough / ".copydesk"))
    in_flight = []
    with ThreadPoolExecutor(1) as thread:
        disturbed = thread.submit(copydesk, "ingest", documents, "--json", cwd=rough, **SHORT, **settings[rough])
        for settled in (40, 120):
            until(lambda: _settled(client) >= settled, what=f"{settled} are settled", every=0.005)
            (main,) = until(lambda: main_processes(rough), what="a worker is there")
            os.killpg(main, signal.SIGKILL)
            in_flight.append(client.xpending("documents", "copydesk")["pending"])
        client.close()
        ended = disturbed.result()
    assert min(in_flight) > 0, "each kill met entries in flight"
    stored_as, summary = results(ended.stdout)
    assert len(stored_as) == COUNT == sum(summary.values()) - COUNT, ended.stderr
    assert stored(urls[rough]) == stored(urls[quiet])
    assert processes_naming(str(rough)) == []


def _settled(client: redis.Redis) -> int:
    try:
        return sum(map(int, client.hvals("copydesk:outcomes:documents")))
    except redis.ConnectionError:
        return 0
