from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.activity.backpressure import Load, Thresholds, slow_down

LIMITS = Thresholds(backlog=1000, oldest=60, longest=30)
loads = st.builds(Load, st.integers(0, 10**7), st.floats(0, 10**6), st.booleans())


@pytest.mark.parametrize(
    ("load", "before", "seconds"),
    [
        (Load(0, 0), 0, 0),
        (Load(999, 59), 0, 0),
        (Load(1000, 0), 0, 1),
        (Load(1001, 0), 0, 2),
        (Load(1, 60), 0, 1),
        (Load(0, 10_000), 0, 0),
        (Load(10**6, 0), 0, 30),
        (Load(0, 0, trouble=True), 0, 5),
        (Load(10**6, 0, trouble=True), 0, 30),
    ],
)
def test_the_wait_begins_at_the_thresholds_and_grows(load, before, seconds):
    assert slow_down(load, before, LIMITS) == seconds


def test_backpressure_ends_at_half_of_the_thresholds():
    assert slow_down(Load(501, 0), 0, LIMITS) == 0
    assert slow_down(Load(501, 0), 3, LIMITS) == 1
    assert slow_down(Load(500, 30), 1, LIMITS) == 0


@given(loads, loads, st.floats(0, 30))
def test_more_load_never_gives_a_shorter_wait(one, other, before):
    more = Load(max(one.backlog, other.backlog), max(one.oldest, other.oldest), one.trouble or other.trouble)
    assert 0 <= slow_down(one, before, LIMITS) <= slow_down(more, before, LIMITS) <= LIMITS.longest


def test_a_threshold_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        Thresholds(0, 60, 30)
