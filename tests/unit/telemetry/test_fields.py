"""Every field and area that the code logs is described in the tables."""

import pytest

from tests.support.log_calls import calls
from worker.telemetry.logs import AREAS, FIELDS


@pytest.fixture(scope="module")
def logged():
    """The calls of all modules."""
    return calls()


def test_every_field_that_is_logged_is_described(logged):
    found = {name for call in logged for name in call.fields}
    assert found, "the scan finds the calls"
    assert found - {"exc_info"} <= set(FIELDS), f"add these to FIELDS: {sorted(found - set(FIELDS))}"


def test_every_area_is_described(logged):
    found = {call.area for call in logged}
    assert found <= set(AREAS), f"add these to AREAS: {sorted(found - set(AREAS))}"


def test_every_alarm_is_a_fixed_sentence(logged):
    """A fixed sentence can be searched for, and the runbook can have a heading for it."""
    loose = [f"{call.path}:{call.line}" for call in logged if call.event is None and call.level in ("warning", "error")]
    assert loose == []


def test_the_scan_sees_a_call():
    (call,) = calls("log = get_logger('ingest')\nlog.warning('It failed', lane=1)\n")
    assert (call.area, call.level, call.event, call.fields) == ("ingest", "warning", "It failed", ("lane",))
