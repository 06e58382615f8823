"""Faults of Redis: its process, its file, its clock, its clients, and the network to it."""

from __future__ import annotations

import shutil
import signal
import time

from tests.faults.manifest import now
from tests.faults.registry import faketime, fault, seconds
from tests.faults.scenario import Scenario
from tests.faults.stack import kill_group
from tests.support.servers import until

_ON_ITS_WAY_SECONDS = 3
"""A document may have been generated this long before Redis received it."""


@fault()
def redis_restarted(scenario: Scenario) -> None:
    scenario.redis.end()
    time.sleep(1)
    scenario.redis.start()


@fault()
def redis_killed(scenario: Scenario) -> None:
    scenario.redis.kill()
    time.sleep(1)
    scenario.redis.start()


@fault()
def redis_killed_with_fsync_every_second(scenario: Scenario) -> None:
    """With appendfsync everysec a killed Redis may lose up to two seconds of acknowledged entries."""
    scenario.redis.fsync = "everysec"
    scenario.client.config_set("appendfsync", "everysec")
    time.sleep(1)
    scenario.until_busy()
    scenario.redis.kill()
    scenario.manifest.doubt(now() - 2 - _ON_ITS_WAY_SECONDS, now())
    scenario.reconciliation.counters_restored = True
    scenario.redis.fsync = "always"
    scenario.redis.start()


@fault()
def redis_restored_from_older_file(scenario: Scenario) -> None:
    """The append-only file of two seconds ago is restored: entries sent since are gone, and entries settled since are
    back.
    """
    since = now() - _ON_ITS_WAY_SECONDS
    copy = scenario.folder / "older"
    shutil.copytree(scenario.redis.folder / "appendonlydir", copy)
    time.sleep(2)
    scenario.until_busy()
    scenario.redis.kill()
    shutil.rmtree(scenario.redis.folder / "appendonlydir")
    copy.rename(scenario.redis.folder / "appendonlydir")
    scenario.manifest.doubt(since, now())
    scenario.reconciliation.counters_restored = True
    scenario.redis.start()


@fault()
def redis_frozen(scenario: Scenario) -> None:
    """Redis does not answer for longer than the clients' time-out, then answers everything at once."""
    scenario.redis.signal(signal.SIGSTOP)
    time.sleep(seconds(10, 9))
    scenario.redis.signal(signal.SIGCONT)


@fault()
def clients_killed(scenario: Scenario) -> int:
    met = 0
    for _ in range(3):
        met = max(met, scenario.until_busy())
        scenario.client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.3)
    return met


@fault()
def clients_paused(scenario: Scenario) -> None:
    pause = seconds(10, 3)
    scenario.client.execute_command("CLIENT", "PAUSE", int(pause * 1000), "ALL")
    time.sleep(pause)  # longer than our own client waits for an answer
    scenario.client.ping()


@fault()
def redis_clock_steps_back(scenario: Scenario) -> int:
    """The clock of Redis goes back an hour while an instance dies: the lease of its entries then began in the future."""
    scenario.reconciliation.clock_set_back = True
    return _step_clock(scenario, -3600)


@fault()
def redis_clock_steps_forward(scenario: Scenario) -> int:
    return _step_clock(scenario, 3600)


def _step_clock(scenario: Scenario, offset: int) -> int:
    clock = scenario.folder / "clock"
    environment = faketime(clock)
    scenario.redis.end()
    scenario.redis.environment = environment
    scenario.redis.start()
    scenario.redis.environment = {}
    scenario.workers.hit_a_busy_process(lambda busy: kill_group(busy.leader))
    met = scenario.pending()
    clock.write_text(f"{offset:+d}\n")
    until(lambda: abs(scenario.client.time()[0] - time.time() - offset) < 60, what="the clock has stepped", every=0.2)
    return met


@fault()
def redis_connections_reset(scenario: Scenario) -> int:
    met = 0
    for _ in range(4):
        met = max(met, scenario.until_busy())
        until(scenario.proxy.cut, seconds=120, what="there are connections")
        time.sleep(0.3)
    return met


@fault()
def redis_refused(scenario: Scenario) -> None:
    with scenario.proxy.refusing():
        time.sleep(seconds(10, 3))


@fault()
def redis_black_hole(scenario: Scenario) -> None:
    with scenario.proxy.black_hole():
        time.sleep(seconds(60, 9))


@fault()
def redis_slow(scenario: Scenario) -> None:
    with scenario.proxy.slow(0.3):
        time.sleep(seconds(10, 3))
