"""Faults of the worker's own processes, and of the Celery queue between them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import redis

from tests.faults.registry import faketime, fault, seconds
from tests.faults.scenario import Scene
from tests.faults.stack import Busy, kill_group
from tests.support.servers import until


@fault()
def kill_pool_child(scene: Scene) -> int:
    scene.desk.strike(lambda busy: os.kill(busy.pid, signal.SIGKILL))
    return scene.pending()


@fault()
def kill_main_process(scene: Scene) -> int:
    scene.desk.strike(lambda busy: os.kill(busy.main, signal.SIGKILL))
    return scene.pending()


@fault()
def kill_whole_group(scene: Scene) -> int:
    scene.desk.strike(lambda busy: kill_group(busy.leader))
    return scene.pending()


@fault()
def kill_all_groups(scene: Scene) -> int:
    def kill_all(_: Busy) -> None:
        for leader in scene.desk.mains().values():
            kill_group(leader)

    scene.desk.strike(kill_all)
    return scene.pending()


def _stop(scene: Scene, number: signal.Signals) -> tuple[int, dict[int, int]]:
    """Stop one instance by signal `number`; returns the entries in flight, and those that its dead processes still hold
    then.
    """
    pool, met = [], 0

    def end(busy: Busy) -> None:
        nonlocal pool, met
        met = scene.pending()
        pool = [other.pid for other in scene.desk.pool().values() if other.main == busy.main]
        os.kill(busy.main, number)

    main = scene.desk.strike(end).main
    until(lambda: _is_zombie(main), seconds=60, what=f"{number.name} ends the worker")
    return met, {pid: count for pid, count in scene.desk.holders().items() if pid in pool}


@fault()
def stop_with_sigterm(scene: Scene) -> int:
    """A warm stop finishes or releases its batch; no entry waits for its lease to expire."""
    met, held = _stop(scene, signal.SIGTERM)
    assert not held, f"it ended and left entries for their lease: {held}"
    return met


@fault()
def stop_with_sigquit(scene: Scene) -> int:
    """A cold stop kills the pool: its entries are dispatched again when their lease expires at the latest."""
    return _stop(scene, signal.SIGQUIT)[0]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@fault()
def stopped_past_its_lease(scene: Scene) -> int:
    """SIGSTOP a whole instance in the middle of a batch for longer than its lease; its writes after SIGCONT must change
    nothing.
    """
    leader = scene.desk.strike(lambda busy: kill_group(busy.leader, signal.SIGSTOP)).leader
    met = scene.pending()
    time.sleep(scene.lease_seconds + 2)
    kill_group(leader, signal.SIGCONT)
    return met


@fault()
def worker_clock_steps(scene: Scene) -> int:
    """The clock of one instance goes back an hour while it processes batches, and then forward two."""
    clock = scene.folder / "worker-clock"
    scene.desk.environment = faketime(clock)
    scene.desk.strike(lambda busy: kill_group(busy.leader))
    time.sleep(1)
    scene.desk.until_whole()
    scene.desk.environment = {}
    met = 0
    for offset in (-3600, 3600, 0):
        met = max(met, scene.until_busy())
        clock.write_text(f"{offset:+d}\n")
        time.sleep(2)  # libfaketime reads the file every second
    return met


@fault()
def celery_messages_lost_doubled_reordered(scene: Scene) -> int:
    """Claim checks are removed from Celery's queue; a third is lost, the others come back twice, in another order."""
    draw, kept, lost = random.Random(0), [], 0
    deadline = time.monotonic() + seconds(10, 4)
    while time.monotonic() < deadline or not lost or not kept:
        found = scene.client.blpop(["copydesk"], timeout=1)
        if found and draw.random() < 1 / 3:
            lost += 1
        elif found:
            kept.append(found[1])
    assert lost and kept
    doubled = kept * 2
    draw.shuffle(doubled)
    met = scene.pending()
    with contextlib.suppress(redis.RedisError):
        scene.client.lpush("copydesk", *doubled)
    return met
