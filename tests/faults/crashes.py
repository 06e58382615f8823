"""A crash at each failpoint of the protocol: what makes a process reach it, and which entries were in flight."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

from celery import Celery

from tests.faults.manifest import Sent, now
from tests.faults.registry import Injection
from tests.faults.scenario import Scenario, postgres
from tests.faults.stores import SqliteStore
from tests.faults.traffic import AGAIN, fields, text_of
from tests.support.servers import copydesk, until
from worker.queue.lease_queue import GROUP
from worker.store import tables
from worker.telemetry.failpoints import POINTS


def crash_at(point: str, action: str = "kill") -> Injection:
    """The fault: the first process that reaches `point` dies there."""

    def inject(scenario: Scenario) -> int:
        met = []
        with _PROVOKED.get(point, _by_traffic)(scenario, point, action):
            if not scenario.reached(point):
                scenario.arm(point, action)
            until(lambda: scenario.reached(point), seconds=120, what=f"{point} is reached", every=0.005)
            met.append(scenario.pending())
        scenario.disarm(point)
        if not met[0] and point in _LEAVES_NOTHING:
            return scenario.until_busy()
        return met[0]

    inject.__name__ = f"crash_at_{point}"
    return inject


_LEAVES_NOTHING = frozenset(
    {"ingest.readded", "ingest.settled", "submit.added", "replay.recorded", "replay.sent", "retract.sent"}
)
"""Points at which the entries of the dying process itself are already settled, or not yet dispatched; entries of other
processes are in flight.
"""

Provoke = Callable[[Scenario, str, str], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def _by_traffic(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    """Normal traffic reaches the point."""
    yield


@contextlib.contextmanager
def _by_a_death(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    """Kill a pool process so that its entries are dispatched again; kill another one if it had just finished."""
    scenario.arm(point, action)
    for _ in range(8):
        scenario.workers.hit_a_busy_process(lambda busy: os.kill(busy.pid, signal.SIGKILL))
        with contextlib.suppress(AssertionError):
            until(lambda: scenario.reached(point), seconds=15, every=0.005)
            break
    yield


@contextlib.contextmanager
def _by_a_failing_store(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    if isinstance(scenario.store, SqliteStore):
        with scenario.store.locked():
            yield
    else:
        with postgres(scenario).failing("40001", times=1):
            yield


@contextlib.contextmanager
def _by_an_id_that_comes_again(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    """Delete the stream of a lane, and add another document under an id that already has a receipt."""
    id_ = f"{int(time.time() * 1000)}-7"
    first, second = scenario.traffic.good(AGAIN), scenario.traffic.good(AGAIN)
    _add_to_an_empty_lane(scenario, first, id_)
    until(lambda: _has_receipt(scenario, first.trace), seconds=120, what="the first has its receipt")
    until(lambda: not scenario.client.xlen(AGAIN), seconds=120, what="the first is settled")
    scenario.arm(point, action)
    _add_to_an_empty_lane(scenario, second, id_)
    yield


def _add_to_an_empty_lane(scenario: Scenario, sent: Sent, id_: str) -> None:
    sent.id, sent.sure = id_, True
    with scenario.client.pipeline() as pipe:
        pipe.delete(AGAIN, f"copydesk:outcomes:{AGAIN}")
        pipe.xadd(AGAIN, fields(sent), id=id_)
        pipe.xgroup_create(AGAIN, GROUP, id="0")
        pipe.execute()
    scenario.reconciliation.counters_restored = True
    scenario.manifest.add(sent)


def _has_receipt(scenario: Scenario, trace: str) -> bool:
    with scenario.engine.connect() as connection:
        return (
            connection.execute(tables.receipts.select().where(tables.receipts.c.trace_id == trace)).first() is not None
        )


@contextlib.contextmanager
def _by_a_celery_producer(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    sent = scenario.traffic.good()
    sent.source, sent.key, sent.untraced, sent.sure = "celery", f"celery/{sent.number}.md", True, True
    sent.url = f"https://www.celery.example/{sent.number}"
    scenario.arm(point, action)
    with Celery(broker=scenario.redis.url.replace("unix://", "redis+socket://")) as producer:
        producer.send_task(
            "copydesk.submit", (text_of(sent),), {"source": sent.source, "key": sent.key}, queue="copydesk"
        )
    scenario.manifest.add(sent)
    yield


@contextlib.contextmanager
def _by_an_operators_replay(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    """`copydesk dead replay` dies in the middle and is run again."""
    arguments = ("dead", "replay", "--code", "no_front_matter", "--yes")
    bad = scenario.traffic.good()
    bad.code = "no_front_matter"
    scenario.traffic.send(bad)
    until(lambda: _open_dead_letters(scenario), seconds=120, what="there are dead letters")
    scenario.arm(point, action)
    first = copydesk(*arguments, cwd=scenario.folder, **scenario.settings)
    assert first.returncode == -signal.SIGKILL, first.stderr
    yield
    again = copydesk(*arguments, cwd=scenario.folder, **scenario.settings)
    assert again.returncode == 0, again.stderr


def _open_dead_letters(scenario: Scenario) -> bool:
    query = tables.dead_letters.select().where(tables.dead_letters.c.code == "no_front_matter")
    with scenario.engine.connect() as connection:
        return connection.execute(query).first() is not None


@contextlib.contextmanager
def _by_an_operators_retraction(scenario: Scenario, point: str, action: str) -> Iterator[None]:
    sent = scenario.traffic.good()
    sent.source, sent.key = "operator", f"operator/{sent.number}.md"
    sent.url = f"https://www.operator.example/{sent.number}"
    scenario.traffic.send(sent)
    until(lambda: _has_receipt(scenario, sent.trace), seconds=120, what="it is stored")
    back = Sent(
        scenario.traffic.draw().number,
        now(),
        sent.lane,
        sent.source,
        sent.key,
        "retract",
        sent.url,
        untraced=True,
        sure=True,
    )
    scenario.arm(point, action)
    died = copydesk("retract", sent.key, "--source", sent.source, "--yes", cwd=scenario.folder, **scenario.settings)
    assert died.returncode == -signal.SIGKILL, died.stderr
    scenario.manifest.add(back)
    yield


_PROVOKED: dict[str, Provoke] = {
    "reap.taken": _by_a_death,
    "reap.sent": _by_a_death,
    "ingest.released": _by_a_failing_store,
    "ingest.readded": _by_an_id_that_comes_again,
    "submit.added": _by_a_celery_producer,
    "replay.recorded": _by_an_operators_replay,
    "replay.sent": _by_an_operators_replay,
    "retract.sent": _by_an_operators_retraction,
}

assert set(_PROVOKED) | _LEAVES_NOTHING <= set(POINTS)
__all__ = ["crash_at"]
