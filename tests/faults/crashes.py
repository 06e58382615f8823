"""A crash at each failpoint of the protocol: what makes a process reach it, and which entries were in flight."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

from celery import Celery

from tests.faults.manifest import Sent, now
from tests.faults.registry import Strike
from tests.faults.scenario import Scene, postgres
from tests.faults.stores import SqliteStore
from tests.faults.traffic import AGAIN, fields, text_of
from tests.support.servers import copydesk, until
from worker.queue.lease_queue import GROUP
from worker.store import tables
from worker.telemetry.failpoints import POINTS


def crash_at(point: str, action: str = "kill") -> Strike:
    """The fault: the first process that reaches `point` dies there."""

    def strike(scene: Scene) -> int:
        met = []
        with _PROVOKED.get(point, _by_traffic)(scene, point, action):
            if not scene.struck(point):
                scene.arm(point, action)
            until(lambda: scene.struck(point), seconds=120, what=f"{point} strikes", every=0.001)
            met.append(scene.pending())
        scene.disarm(point)
        if not met[0] and point in _LEAVES_NOTHING:
            return scene.until_busy()
        return met[0]

    strike.__name__ = f"crash_at_{point}"
    return strike


_LEAVES_NOTHING = frozenset(
    {"ingest.readded", "ingest.settled", "submit.added", "replay.recorded", "replay.sent", "retract.sent"}
)
"""Points at which the entries of the dying process itself are already settled, or not yet dispatched; entries of other
processes are in flight.
"""

Provoke = Callable[[Scene, str, str], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def _by_traffic(scene: Scene, point: str, action: str) -> Iterator[None]:
    """Normal traffic reaches the point."""
    yield


@contextlib.contextmanager
def _by_a_death(scene: Scene, point: str, action: str) -> Iterator[None]:
    """Kill a pool process so that its entries are dispatched again; kill another one if it had just finished."""
    scene.arm(point, action)
    for _ in range(8):
        scene.desk.strike(lambda busy: os.kill(busy.pid, signal.SIGKILL))
        with contextlib.suppress(AssertionError):
            until(lambda: scene.struck(point), seconds=15, every=0.001)
            break
    yield


@contextlib.contextmanager
def _by_a_failing_store(scene: Scene, point: str, action: str) -> Iterator[None]:
    if isinstance(scene.store, SqliteStore):
        with scene.store.locked():
            yield
    else:
        with postgres(scene).failing("40001", times=1):
            yield


@contextlib.contextmanager
def _by_an_id_that_comes_again(scene: Scene, point: str, action: str) -> Iterator[None]:
    """Delete the stream of a lane, and add another document under an id that already has a receipt."""
    id_ = f"{int(time.time() * 1000)}-7"
    first, second = scene.traffic.good(AGAIN), scene.traffic.good(AGAIN)
    _add_to_an_empty_lane(scene, first, id_)
    until(lambda: _has_receipt(scene, first.trace), seconds=120, what="the first has its receipt")
    until(lambda: not scene.client.xlen(AGAIN), seconds=120, what="the first is settled")
    scene.arm(point, action)
    _add_to_an_empty_lane(scene, second, id_)
    yield


def _add_to_an_empty_lane(scene: Scene, sent: Sent, id_: str) -> None:
    sent.id, sent.sure = id_, True
    with scene.client.pipeline() as pipe:
        pipe.delete(AGAIN, f"copydesk:outcomes:{AGAIN}")
        pipe.xadd(AGAIN, fields(sent), id=id_)
        pipe.xgroup_create(AGAIN, GROUP, id="0")
        pipe.execute()
    scene.census.counters_restored = True
    scene.manifest.add(sent)


def _has_receipt(scene: Scene, trace: str) -> bool:
    with scene.engine.connect() as connection:
        return (
            connection.execute(tables.receipts.select().where(tables.receipts.c.trace_id == trace)).first() is not None
        )


@contextlib.contextmanager
def _by_a_celery_producer(scene: Scene, point: str, action: str) -> Iterator[None]:
    sent = scene.traffic.good()
    sent.source, sent.key, sent.untraced, sent.sure = "celery", f"celery/{sent.number}.md", True, True
    sent.url = f"https://www.celery.example/{sent.number}"
    scene.arm(point, action)
    with Celery(broker=scene.redis.url.replace("unix://", "redis+socket://")) as producer:
        producer.send_task(
            "copydesk.submit", (text_of(sent),), {"source": sent.source, "key": sent.key}, queue="copydesk"
        )
    scene.manifest.add(sent)
    yield


@contextlib.contextmanager
def _by_an_operators_replay(scene: Scene, point: str, action: str) -> Iterator[None]:
    """`copydesk dead replay` dies in the middle and is run again."""
    arguments = ("dead", "replay", "--code", "no_front_matter", "--yes")
    bad = scene.traffic.good()
    bad.code = "no_front_matter"
    scene.traffic.send(bad)
    until(lambda: _open_letters(scene), seconds=120, what="there are dead letters")
    scene.arm(point, action)
    first = copydesk(*arguments, cwd=scene.folder, **scene.settings)
    assert first.returncode == -signal.SIGKILL, first.stderr
    yield
    again = copydesk(*arguments, cwd=scene.folder, **scene.settings)
    assert again.returncode == 0, again.stderr


def _open_letters(scene: Scene) -> bool:
    query = tables.dead_letters.select().where(tables.dead_letters.c.code == "no_front_matter")
    with scene.engine.connect() as connection:
        return connection.execute(query).first() is not None


@contextlib.contextmanager
def _by_an_operators_retraction(scene: Scene, point: str, action: str) -> Iterator[None]:
    sent = scene.traffic.good()
    sent.source, sent.key = "operator", f"operator/{sent.number}.md"
    sent.url = f"https://www.operator.example/{sent.number}"
    scene.traffic.send(sent)
    until(lambda: _has_receipt(scene, sent.trace), seconds=120, what="it is stored")
    back = Sent(
        scene.traffic.draw().number,
        now(),
        sent.lane,
        sent.source,
        sent.key,
        "retract",
        sent.url,
        untraced=True,
        sure=True,
    )
    scene.arm(point, action)
    died = copydesk("retract", sent.key, "--source", sent.source, "--yes", cwd=scene.folder, **scene.settings)
    assert died.returncode == -signal.SIGKILL, died.stderr
    scene.manifest.add(back)
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
