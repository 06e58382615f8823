"""Faults of Redis: its process, its file, its clock, its clients, and the network to it."""

from __future__ import annotations

import shutil
import signal
import time

from tests.faults.manifest import now
from tests.faults.registry import faketime, fault, seconds
from tests.faults.scenario import Scene
from tests.faults.stack import kill_group
from tests.support.servers import until

_ON_ITS_WAY_SECONDS = 3
"""A document may have been generated this long before Redis received it."""


@fault()
def redis_restarted(scene: Scene) -> None:
    scene.redis.end()
    time.sleep(1)
    scene.redis.start()


@fault()
def redis_killed(scene: Scene) -> None:
    scene.redis.kill()
    time.sleep(1)
    scene.redis.start()


@fault()
def redis_killed_with_fsync_every_second(scene: Scene) -> None:
    """With appendfsync everysec a killed Redis may lose up to two seconds of acknowledged entries."""
    scene.redis.fsync = "everysec"
    scene.client.config_set("appendfsync", "everysec")
    time.sleep(1)
    scene.until_busy()
    scene.redis.kill()
    scene.manifest.doubt(now() - 2 - _ON_ITS_WAY_SECONDS, now())
    scene.census.counters_restored = True
    scene.redis.fsync = "always"
    scene.redis.start()


@fault()
def redis_restored_from_older_file(scene: Scene) -> None:
    """The append-only file of two seconds ago is restored: entries sent since are gone, and entries settled since are
    back.
    """
    since = now() - _ON_ITS_WAY_SECONDS
    copy = scene.folder / "older"
    shutil.copytree(scene.redis.folder / "appendonlydir", copy)
    time.sleep(2)
    scene.until_busy()
    scene.redis.kill()
    shutil.rmtree(scene.redis.folder / "appendonlydir")
    copy.rename(scene.redis.folder / "appendonlydir")
    scene.manifest.doubt(since, now())
    scene.census.counters_restored = True
    scene.redis.start()


@fault()
def redis_frozen(scene: Scene) -> None:
    """Redis does not answer for longer than the clients' time-out, then answers everything at once."""
    scene.redis.signal(signal.SIGSTOP)
    time.sleep(seconds(10, 9))
    scene.redis.signal(signal.SIGCONT)


@fault()
def clients_killed(scene: Scene) -> int:
    met = 0
    for _ in range(3):
        met = max(met, scene.until_busy())
        scene.client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.3)
    return met


@fault()
def clients_paused(scene: Scene) -> None:
    pause = seconds(10, 3)
    scene.client.execute_command("CLIENT", "PAUSE", int(pause * 1000), "ALL")
    time.sleep(pause)  # longer than our own client waits for an answer
    scene.client.ping()


@fault()
def redis_clock_steps_back(scene: Scene) -> int:
    """The clock of Redis goes back an hour while an instance dies: the lease of its entries then began in the future."""
    return _step_clock(scene, -3600)


@fault()
def redis_clock_steps_forward(scene: Scene) -> int:
    return _step_clock(scene, 3600)


def _step_clock(scene: Scene, offset: int) -> int:
    clock = scene.folder / "clock"
    environment = faketime(clock)
    scene.redis.end()
    scene.redis.environment = environment
    scene.redis.start()
    scene.redis.environment = {}
    scene.desk.strike(lambda busy: kill_group(busy.leader))
    met = scene.pending()
    clock.write_text(f"{offset:+d}\n")
    until(lambda: abs(scene.client.time()[0] - time.time() - offset) < 60, what="the clock has stepped", every=0.2)
    return met


@fault()
def redis_connections_reset(scene: Scene) -> int:
    met = 0
    for _ in range(4):
        met = max(met, scene.until_busy())
        until(scene.proxy.cut, seconds=120, what="there are connections")
        time.sleep(0.3)
    return met


@fault()
def redis_refused(scene: Scene) -> None:
    with scene.proxy.refusing():
        time.sleep(seconds(10, 3))


@fault()
def redis_black_hole(scene: Scene) -> None:
    with scene.proxy.black_hole():
        time.sleep(seconds(60, 9))


@fault()
def redis_slow(scene: Scene) -> None:
    with scene.proxy.slow(0.3):
        time.sleep(seconds(10, 3))
