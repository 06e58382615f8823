"""An outage is logged once a minute; the store is probed at growing intervals, and a relapse belongs to the same
outage.
"""

from __future__ import annotations

import pytest
import structlog
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from worker.runtime.supervision import outage
from worker.runtime.supervision.outage import Outage, StoreWatch


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now

    def run(self, seconds, step=0.1):
        for _ in range(round(seconds / step)):
            self.now += step
            yield


@pytest.fixture
def lines(monkeypatch):
    found = []
    monkeypatch.setattr(
        outage, "log", structlog.wrap_logger(None, processors=[lambda _, __, event: found.append(event) or _drop()])
    )
    return found


def _drop():
    raise structlog.DropEvent


def test_an_outage_of_an_hour_logs_sixty_lines_and_one_at_its_end(lines):
    clock = Clock()
    away = Outage("The store", clock=clock)
    for _ in clock.run(3600, step=1):
        away.record_failure("no route\nto host", waiting=lambda: 7)
    assert 59 <= len(lines) <= 61
    assert (lines[0]["error"], lines[0]["documents"]) == ("no route to host", 7)
    assert away.is_active
    assert "no route to host" in away.reason
    lines.clear()
    away.record_recovery()
    away.record_recovery()
    assert [line["event"] for line in lines] == ["The store can be used again"]
    assert (away.is_active, away.reason) == (False, "")


@pytest.fixture
def store(monkeypatch):
    """A store that works while `store["works"]`, and counts how often it was used."""
    state = {"works": False, "asked": 0}

    def probe(_engine):
        state["asked"] += 1
        if not state["works"]:
            raise OperationalError("", {}, Exception("down"))

    monkeypatch.setattr(outage, "probe", probe)
    return state


def test_the_store_is_probed_ever_less_often_and_recovers_within_seconds(store, lines):
    clock = Clock()
    watch = StoreWatch(create_engine("sqlite://"), clock=clock)
    watch.record_failure("down")
    for _ in clock.run(3600):
        watch.probe_if_due()
    assert watch.waits
    assert 600 < store["asked"] < 800
    store["works"] = True
    for _ in clock.run(5.1):
        watch.probe_if_due()
    assert not watch.waits


def test_a_relapse_during_the_probe_is_the_same_outage(store, lines):
    store["works"] = True
    clock = Clock()
    watch = StoreWatch(create_engine("sqlite://"), clock=clock)
    for _ in range(5):
        watch.record_failure("disk full", at=clock.now)
        while watch.waits:
            clock.now += 0.1
            watch.probe_if_due()
        clock.now += 0.1
    assert len(lines) == 1, "it is not said to be over in between"
    for _ in clock.run(10.1):
        watch.probe_if_due()
    assert [line["event"] for line in lines][1:] == ["The store can be used again"]
    watch.record_failure("down", at=clock.now)
    assert len(lines) == 3, "the next one is another"


def test_a_failure_that_began_before_the_recovery_is_no_relapse(store, lines):
    store["works"] = True
    clock = Clock()
    watch = StoreWatch(create_engine("sqlite://"), clock=clock)
    watch.record_failure("down", at=clock.now)
    clock.now += 1
    watch.probe_if_due()
    watch.record_failure("down", at=clock.now - 0.5)
    assert not watch.waits
