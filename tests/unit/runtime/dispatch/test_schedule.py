from __future__ import annotations

import pytest

from worker.runtime.dispatch.schedule import BatchDelay, lane_quotas, poll_wait
from worker.settings import Lane

LANES = (Lane("documents", 4), Lane("bulk", 1), Lane("urgent", 8))


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        (set(), {"documents": 1000, "bulk": 1000, "urgent": 1000}),
        ({"bulk"}, {"documents": 800, "bulk": 1000, "urgent": 800}),
        ({"documents", "bulk"}, {"documents": 800, "bulk": 200, "urgent": 600}),
        ({"documents", "bulk", "urgent"}, {"documents": 300, "bulk": 100, "urgent": 600}),
    ],
)
def test_pending_entries_are_divided_by_weight_among_waiting_lanes(busy, expected):
    assert lane_quotas(LANES, busy, 1000, 100) == expected


def test_every_lane_may_have_a_batch_in_flight_within_the_cap():
    assert lane_quotas(LANES, {"documents", "bulk", "urgent"}, 100, 100)["bulk"] == 100
    assert set(lane_quotas(LANES, {"documents"}, 30, 100).values()) == {30}


def test_a_small_batch_is_followed_by_another_only_after_a_while():
    now, behind = 100.0, False
    delay = BatchDelay(clock=lambda: now)

    def wait_for(lane="documents"):
        return delay.batch_size_to_wait_for(lane, lambda: behind)

    assert wait_for() == ""
    delay.record_small_batch("documents")
    assert (wait_for(), wait_for("another")) == ("half", "")
    behind = True
    assert wait_for() == "full"
    now = 105.0
    assert wait_for() == ""


def test_lanes_are_polled_rarely_while_changes_are_announced():
    assert poll_wait(0.003, is_behind=False, is_watching=True) == (0.003, 0.1)
    assert poll_wait(0.003, is_behind=False, is_watching=False) == (0.003, 0.01)


@pytest.mark.parametrize("is_watching", [True, False])
def test_an_announcement_does_not_shorten_the_wait_while_the_pool_has_enough_to_do(is_watching):
    assert poll_wait(0.003, is_behind=True, is_watching=is_watching) == (0.03, 0.03)


def test_the_setting_is_the_shortest_wait():
    for is_behind in (True, False):
        for is_watching in (True, False):
            wait = poll_wait(0.5, is_behind=is_behind, is_watching=is_watching)
            assert wait == (0.5, 0.5)
