"""What the watchdog restarts for each observation."""

from __future__ import annotations

import pytest

from worker.runtime.supervision.watchdog import Observation, Remedy, Watchdog


def seen(now, **more):
    well = {
        "dispatcher_alive": True,
        "dispatcher_step": now,
        "loop_ran_at": now,
        "consuming": True,
        "queued": 0,
        "received": 0,
        "busy": 0,
    }
    return Observation(now=now, **{**well, **more})


def run(dog, seconds, **more):
    """Return the actions within so many seconds, with a check every two seconds."""
    return [found[0] for now in range(0, seconds, 2) if (found := dog.decide(seen(float(now), **more)))]


@pytest.mark.parametrize("fine", [
    {}, {"queued": 400, "busy": 2}, {"consuming": False, "queued": 9}, {"consuming": False, "loop_ran_at": -100.0},
], ids=["nothing to do", "busy", "paused or a server away", "reconnecting"])  # fmt: skip
def test_a_healthy_worker_is_left_alone(fine):
    assert run(Watchdog(30), 600, **fine) == []


def test_unconsumed_claim_checks_restart_the_consumer():
    assert run(Watchdog(30), 40, queued=3) == [Remedy.CONSUMER]


def test_consuming_claim_checks_is_progress():
    dog = Watchdog(30)
    assert [dog.decide(seen(float(now), queued=3, received=now)) for now in range(0, 600, 2)] == [None] * 300


def test_a_dispatcher_that_ended_or_hangs_is_replaced():
    assert Watchdog(30).decide(seen(0.0, dispatcher_alive=False))[0] is Remedy.DISPATCHER
    assert Watchdog(30).decide(seen(31.0, dispatcher_step=0.0))[0] is Remedy.DISPATCHER


def test_an_event_loop_that_hangs_ends_the_process():
    assert Watchdog(30).decide(seen(31.0, loop_ran_at=0.0))[0] is Remedy.PROCESS


def test_a_restart_that_fails_twice_ends_the_process():
    dog = Watchdog(30)
    found = [dog.decide(seen(float(now), dispatcher_alive=False))[0] for now in (0, 100, 200, 900)]
    assert found == [Remedy.DISPATCHER, Remedy.DISPATCHER, Remedy.PROCESS, Remedy.DISPATCHER]
