"""A worker repairs itself when a part of it hangs or dies, without systemd or Compose."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time

import pytest

from tests.support.runtime_hooks import article
from tests.support.servers import ROOT, Background, processes_naming, until
from worker.activity.heartbeats import workers

pytestmark = pytest.mark.timeout(240)  # each test starts a worker, some twice

_HANG = """
import time
from worker.runtime.dispatch import dispatcher

_step, hung = dispatcher.DispatchLoop._step, []

def hang(self):
    if not hung and self._client.get("test:hang"):
        hung.append(self)
        while True:
            time.sleep(1)
    return _step(self)

def end(self):
    if not hung and self._client.get("test:end"):
        hung.append(self)
        raise SystemExit  # no Exception: it ends the thread
    return hang(self)

dispatcher.DispatchLoop._step = end
"""


@pytest.fixture
def start(settings, redis_client, tmp_path):
    """`start()`: a worker that consumes, and its main process. `hook`: code that it runs before all else."""
    settings = {**settings, "COPYDESK_LOG_FORMAT": "json"}
    with contextlib.ExitStack() as stack:

        def go(*, hook="", watchdog="3"):
            hooked = {"COPYDESK_WATCHDOG_SECONDS": watchdog}
            if hook:
                (tmp_path / "hook").mkdir()
                (tmp_path / "hook" / "sitecustomize.py").write_text(hook)
                hooked["PYTHONPATH"] = f"{tmp_path}/hook:{ROOT}"
            run = stack.enter_context(Background("worker", "--concurrency", "1", cwd=tmp_path, **settings, **hooked))
            (state,) = until(lambda: [w for w in workers(redis_client) if w.is_consuming], what="it consumes")
            return run, state

        yield go
    until(lambda: processes_naming(str(tmp_path)) == [], what="nothing stays behind")


def flows(redis_client, receipts, number, *, seconds=120):
    id_ = redis_client.xadd("documents", {"raw": article(number), "key": str(number)}).decode()
    until(lambda: id_ in receipts(), seconds=seconds, what="a document is stored")


@pytest.mark.long
@pytest.mark.parametrize("how", ["hang", "end"])
def test_a_dispatcher_that_hangs_or_ends_is_replaced(how, start, redis_client, receipts):
    run, state = start(hook=_HANG)
    flows(redis_client, receipts, 1)
    redis_client.set(f"test:{how}", 1)
    time.sleep(1)
    flows(redis_client, receipts, 2)
    assert "its dispatcher is restarted" in run.text()
    assert [w.pid for w in workers(redis_client)] == [state.pid], "the process stayed"


@pytest.mark.long
def test_a_deleted_binding_is_created_again(start, redis_client, receipts):
    start()
    redis_client.delete("_kombu.binding.copydesk")
    flows(redis_client, receipts, 1)


def test_a_killed_main_process_is_restarted(start, redis_client, receipts):
    run, state = start()
    os.kill(state.pid, signal.SIGKILL)
    flows(redis_client, receipts, 1)
    assert run.process.poll() is None
    assert "it starts again" in run.text()


@pytest.mark.long
def test_a_stopped_pool_process_is_replaced(start, redis_client, receipts):
    run, state = start()
    os.kill(state.pool[0].pid, signal.SIGSTOP)
    flows(redis_client, receipts, 1)
    assert "A pool process does not accept its batch" in run.text()


@pytest.mark.long
def test_a_worker_whose_supervisor_is_killed_stops(start, redis_client):
    run, _ = start()
    run.process.kill()
    run.process.wait()
    until(lambda: not workers(redis_client), what="it leaves")


def test_a_warm_stop_is_quick_and_leaves_nothing_pending(start, redis_client, receipts):
    run, _ = start()
    flows(redis_client, receipts, 0)
    for number in range(600):
        redis_client.xadd("documents", {"raw": article(number), "key": str(number)})
    until(lambda: len(receipts()) > 100, what="it is in the middle")
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(timeout=120) == 0
    held = {c["name"].decode(): c["pending"] for c in redis_client.xinfo_consumers("documents", "copydesk")}
    held.pop("dispatched")
    assert set(held.values()) <= {0}, (
        "no process holds anything: what is dispatched lies on Celery's queue for the next"
    )
    start()
    back = time.monotonic()
    until(lambda: redis_client.xlen("documents") == 0, what="the rest is done")
    pending = redis_client.xpending("documents", "copydesk")["pending"]
    assert pending == 0, back


def test_a_cold_stop_releases_its_entries_at_once(start, redis_client, tmp_path):
    run, state = start(watchdog="60")  # the pool process that waits for the store may take seconds to end
    with contextlib.closing(sqlite3.connect(tmp_path / "copydesk.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # so that a batch is being written when the signal arrives
        redis_client.xadd("documents", {"raw": article(1), "key": "1"})
        held = f"{state.host}:{state.pool[0].pid}"
        until(
            lambda: redis_client.xpending_range("documents", "copydesk", "-", "+", 1, consumername=held),
            what="it is held",
        )
        run.process.send_signal(signal.SIGQUIT)
        run.process.wait(timeout=120)
    ((entry,)) = redis_client.xpending_range("documents", "copydesk", "-", "+", 1)
    assert entry["consumer"] == b"dispatched"
    assert entry["time_since_delivered"] >= 25_000, "past its lease: the next worker takes it at once"
    assert entry["times_delivered"] == 1, "nobody is to blame"
