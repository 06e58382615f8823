"""Low and exhausted capacity are logged apart, each with a line of its own when it ends."""

import pytest
import structlog

from worker.queue.connection import connect
from worker.runtime.supervision import admission_control
from worker.settings import Settings


@pytest.fixture
def lines(monkeypatch):
    events = []

    def keep(_, __, event):
        events.append(event["event"])
        raise structlog.DropEvent

    monkeypatch.setattr(admission_control, "log", structlog.wrap_logger(None, processors=[keep]))
    return events


@pytest.fixture
def control(lines):
    return admission_control.AdmissionControl(Settings(), connect("redis://127.0.0.1:1"), "worker")


@pytest.fixture
def logged(control, lines):
    """`logged(full, low)`: the events that are logged for this capacity."""

    def log_capacity(full, low):
        lines.clear()
        control._log_capacity(full, low)
        return lines[:]

    return log_capacity


def test_the_end_of_one_condition_is_not_that_of_the_other(logged):
    assert logged("the disk is full", "memory is low") == ["Capacity is exhausted", "Capacity is low"]
    assert logged("", "memory is low") == ["Capacity is available again"]
    assert logged("", "memory is low") == []
    assert logged("", "") == ["Capacity is no longer low"]
    assert logged("", "") == []


def test_a_lasting_condition_is_logged_once_a_minute(logged, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(admission_control.time, "monotonic", lambda: now)
    assert logged("the disk is full", "") == ["Capacity is exhausted"]
    now += 30
    assert logged("the disk is full", "") == []
    now += 31
    assert logged("the disk is full", "") == ["Capacity is exhausted"]
