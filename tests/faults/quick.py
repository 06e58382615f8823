"""A worker in one process, for many crashes in a short time: Copydesk's dispatcher, claim checks and batches in turn,
without a pool.

`python -m tests.faults.quick` loads everything once and forks. When the child dies, every lease is made to expire at
once, and it
forks again. The long form tests what a pool, a supervisor and real leases add.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from queue import Empty

import redis
from kombu.simple import SimpleQueue

import worker.runtime.tasks  # noqa: F401  registers the tasks
from worker.queue.connection import connect
from worker.queue.crashes import CrashReport
from worker.queue.lease_queue import GROUP, LeaseQueue
from worker.runtime.app import QUEUE, app
from worker.runtime.connections import worker_name
from worker.runtime.dispatch.dispatcher import DispatchLoop
from worker.runtime.dispatch.request import StoreUnusable, Trouble, troubles
from worker.runtime.supervision.lost_process import record_loss
from worker.settings import INTERNAL_LANE, settings
from worker.telemetry import logs


def work() -> None:
    """Dispatch, process what was dispatched, and repeat forever."""
    config = settings()
    loop = DispatchLoop(config, app)
    with app.connection_for_read() as connection:
        claim_checks = SimpleQueue(connection, QUEUE, no_ack=True)
        while True:
            wait = loop._step().at_least
            with contextlib.suppress(Empty):
                while True:
                    _run(claim_checks.get(block=False))
                    wait = 0.0
            time.sleep(wait)


def _run(message: object) -> None:
    arguments, options, _ = message.payload  # type: ignore[attr-defined]  # kombu has no types
    try:
        app.tasks[message.headers["task"]](*arguments, **options)  # type: ignore[attr-defined]  # nor here
    except StoreUnusable as error:
        troubles.put(Trouble(time.monotonic(), str(error)))


def let_time_pass(child: str, how: str) -> None:
    """Do what the supervision thread does about a dead process, then expire every lease, also that of lost claim
    checks.
    """
    config = settings()
    with connect(config.redis) as client:
        for lane in (*(lane.name for lane in config.lane_list), INTERNAL_LANE):
            queue = LeaseQueue(client, lane)
            record_loss(queue, CrashReport.now(child, how), config)
            held = client.xpending_range(lane, GROUP, "-", "+", 10_000)
            for entry in held:  # type: ignore[union-attr]  # not an awaitable here
                client.xclaim(lane, GROUP, entry["consumer"], 0, [entry["message_id"]], justid=True,
                              idle=int(config.lease_seconds * 1000), retrycount=entry["times_delivered"])  # fmt: skip


def main() -> None:
    """Fork, wait and expire the leases, until stopped."""
    logs.configure_for(settings())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    child = 0
    try:
        while True:
            child = os.fork()
            if not child:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                try:
                    work()
                except redis.RedisError as error:
                    print(f"Redis: {error}", flush=True)
                except Exception:
                    traceback.print_exc()
                finally:
                    os._exit(1)
            name = worker_name().replace(str(os.getpid()), str(child))
            _, status = os.waitpid(child, 0)
            let_time_pass(name, f"wait status {status}")
    finally:
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
