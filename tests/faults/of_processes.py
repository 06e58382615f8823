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
from tests.faults.scenario import Scenario
from tests.faults.stack import Busy, kill_group
from tests.support.servers import until


@fault()
def kill_pool_child(scenario: Scenario) -> int:
    scenario.workers.hit_a_busy_process(lambda busy: os.kill(busy.pid, signal.SIGKILL))
    return scenario.pending()


@fault()
def kill_main_process(scenario: Scenario) -> int:
    scenario.workers.hit_a_busy_process(lambda busy: os.kill(busy.main, signal.SIGKILL))
    return scenario.pending()


@fault()
def kill_whole_group(scenario: Scenario) -> int:
    scenario.workers.hit_a_busy_process(lambda busy: kill_group(busy.leader))
    return scenario.pending()


@fault()
def kill_all_groups(scenario: Scenario) -> int:
    def kill_all(_: Busy) -> None:
        for leader in scenario.workers.mains().values():
            kill_group(leader)

    scenario.workers.hit_a_busy_process(kill_all)
    return scenario.pending()


def _stop(scenario: Scenario, number: signal.Signals) -> tuple[int, dict[int, int]]:
    """Stop one instance by signal `number`; returns the entries in flight, and those that its dead processes still hold
    then.
    """
    pool, met = [], 0

    def end(busy: Busy) -> None:
        nonlocal pool, met
        met = scenario.pending()
        pool = [other.pid for other in scenario.workers.pool().values() if other.main == busy.main]
        os.kill(busy.main, number)

    main = scenario.workers.hit_a_busy_process(end).main
    until(lambda: _is_zombie(main), seconds=60, what=f"{number.name} ends the worker")
    return met, {pid: count for pid, count in scenario.workers.holders().items() if pid in pool}


@fault()
def stop_with_sigterm(scenario: Scenario) -> int:
    """A warm stop finishes or releases its batch; no entry waits for its lease to expire."""
    met, held = _stop(scenario, signal.SIGTERM)
    assert not held, f"it ended and left entries for their lease: {held}"
    return met


@fault()
def stop_with_sigquit(scenario: Scenario) -> int:
    """A cold stop kills the pool: its entries are dispatched again when their lease expires at the latest."""
    return _stop(scenario, signal.SIGQUIT)[0]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@fault()
def stopped_past_its_lease(scenario: Scenario) -> int:
    """SIGSTOP a whole instance in the middle of a batch for longer than its lease; its writes after SIGCONT must change
    nothing.
    """
    leader = scenario.workers.hit_a_busy_process(lambda busy: kill_group(busy.leader, signal.SIGSTOP)).leader
    met = scenario.pending()
    time.sleep(scenario.lease_seconds + 2)
    kill_group(leader, signal.SIGCONT)
    return met


@fault()
def worker_clock_steps(scenario: Scenario) -> int:
    """The clock of one instance goes back an hour while it processes batches, and then forward two."""
    clock = scenario.folder / "worker-clock"
    scenario.workers.environment = faketime(clock)
    scenario.workers.hit_a_busy_process(lambda busy: kill_group(busy.leader))
    time.sleep(1)
    scenario.workers.until_whole()
    scenario.workers.environment = {}
    met = 0
    for offset in (-3600, 3600, 0):
        met = max(met, scenario.until_busy())
        clock.write_text(f"{offset:+d}\n")
        time.sleep(2)  # libfaketime reads the file every second
    return met


@fault()
def celery_messages_lost_doubled_reordered(scenario: Scenario) -> int:
    """Claim checks are removed from Celery's queue; a third is lost, the others come back twice, in another order."""
    draw, kept, lost = random.Random(0), [], 0
    deadline = time.monotonic() + seconds(10, 4)
    while time.monotonic() < deadline or not lost or not kept:
        found = scenario.client.blpop(["copydesk"], timeout=1)
        if found and draw.random() < 1 / 3:
            lost += 1
        elif found:
            kept.append(found[1])
    assert lost and kept
    doubled = kept * 2
    draw.shuffle(doubled)
    met = scenario.pending()
    with contextlib.suppress(redis.RedisError):
        scenario.client.lpush("copydesk", *doubled)
    return met
