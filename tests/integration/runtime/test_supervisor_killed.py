"""A worker whose supervisor was killed ends within seconds, whatever it does; so do its pool and its linker."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.servers import Background, Valkey, main_processes, processes_naming, until
from worker.activity.heartbeats import workers

SECONDS = 30
"""Five seconds for the worker and some more for its pool, on a busy machine."""


@pytest.fixture
def server():
    """A Valkey of the test's own, because the test stops and kills it."""
    server = Valkey()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start(server, migrated_folder, tmp_path):
    """`start()`: a supervised worker."""
    settings = {"COPYDESK_REDIS_URL": server.url, "COPYDESK_DATA_DIR": str(tmp_path), "COPYDESK_LINK": "true"}
    running = []

    def start(**options):
        running.append(Background("worker", "--concurrency", "1", cwd=tmp_path, **settings, **options))
        return running[-1]

    yield start
    for run in running:
        run.process.kill()
        run.process.wait()
    for pid in processes_naming(str(tmp_path)):
        os.kill(pid, signal.SIGKILL)


def until_it_consumes(server):
    with server.client() as client:
        until(lambda: any(worker.is_consuming for worker in workers(client)), what="it consumes")


def all_end(run):
    run.process.kill()
    run.process.wait()
    until(lambda: not processes_naming(str(run.log.parent)), seconds=SECONDS, what="nothing is left", every=0.2)


@pytest.mark.parametrize("redis", ["there", "killed", "stopped"])
def test_a_worker_ends_with_its_supervisor_whatever_the_state_of_redis(redis, start, server):
    run = start()
    until_it_consumes(server)
    if redis == "killed":
        server.kill()
        time.sleep(1)
    elif redis == "stopped":
        server.signal(signal.SIGSTOP)
        time.sleep(1)
    try:
        all_end(run)
    finally:
        if redis == "stopped":
            server.signal(signal.SIGCONT)


@pytest.mark.parametrize("after", [0.5, *(pytest.param(after, marks=pytest.mark.long) for after in (0.0, 1.0))])
@pytest.mark.parametrize("redis", ["there", pytest.param("stopped", marks=pytest.mark.long)])
def test_a_worker_ends_with_its_supervisor_while_it_starts(redis, after, start, server):
    run = start(is_fresh=True)
    until(lambda: _workers(run), what="the worker is started", every=0.005)
    if redis == "stopped":
        server.signal(signal.SIGSTOP)
    try:
        time.sleep(after)
        all_end(run)
    finally:
        server.signal(signal.SIGCONT)


def test_a_worker_ends_with_its_supervisor_while_its_stop_hangs(start, server):
    """It already had to stop, and its supervisor is killed because that takes too long."""
    run = start()
    until_it_consumes(server)
    with server.client() as client:
        (pool,) = (process.pid for worker in workers(client) for process in worker.pool)
    os.kill(pool, signal.SIGSTOP)
    run.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    all_end(run)


def test_the_pool_ends_when_supervisor_and_main_process_are_killed_together(start, server):
    run = start()
    until_it_consumes(server)
    (main,) = _workers(run)
    os.kill(main, signal.SIGKILL)
    all_end(run)


def test_a_killed_all_in_one_leaves_no_worker(tmp_path):
    with Background("up", cwd=tmp_path) as up:
        up.says("The worker is ready")
        (worker,) = _workers(up)
        up.process.kill()
        up.process.wait()
        until(
            lambda: worker not in processes_naming(str(tmp_path)), seconds=SECONDS, what="its worker is gone", every=0.2
        )
    for pid in processes_naming(str(tmp_path)):  # the next owner finds its Valkey
        os.kill(pid, signal.SIGTERM)
    until(lambda: not processes_naming(str(tmp_path)), seconds=SECONDS, what="nothing is left")


def _workers(run: Background) -> list[int]:
    return [pid for pid in main_processes(run.log.parent) if pid != run.process.pid]
