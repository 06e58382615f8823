"""When a lane is paused automatically."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.activity.minute_counters import Minute
from worker.runtime.supervision.circuit_breaker import trip_reason
from worker.settings import Settings

CONFIG = Settings(breaker_minutes=3, breaker_share=0.5, breaker_documents=100, breaker_deaths=10)


def minute(at, *, stored=0, rejected=0, deaths=0, batches=0, lane="documents", source="crawler"):
    found = Minute(at, batches=Counter({lane: batches}), deaths=Counter({lane: deaths}))
    found.outcomes.update({(lane, source, "stored"): stored, (lane, source, "rejected"): rejected})
    if rejected:
        found.codes[lane, source, "no_front_matter"] = rejected
    return found


def test_a_lane_with_mostly_rejections_is_paused_with_codes_and_source():
    why = trip_reason([minute(0, rejected=70, stored=30), minute(60, rejected=50)], "documents", CONFIG)
    assert why == "120 of 150 documents were rejected in 3 minutes (no_front_matter 120; most from crawler: 120)"


@pytest.mark.parametrize("minutes", [
    [minute(0, rejected=99)],
    [minute(0, rejected=50, stored=50)],
    [minute(0, rejected=100, lane="other")],
    [minute(0, deaths=9)],
    [minute(0, deaths=10, batches=11)],
    [minute(0, rejected=500), minute(60), minute(120), minute(180)],
    [],
], ids=["too few", "half", "another lane", "few deaths", "deaths among many batches", "long ago", "nothing"])  # fmt: skip
def test_a_lane_below_the_thresholds_is_not_paused(minutes):
    assert trip_reason(minutes, "documents", CONFIG) is None


def test_a_lane_whose_batches_kill_pool_processes_is_paused():
    why = trip_reason([minute(0, deaths=30, batches=3)], "documents", CONFIG)
    assert why == "30 pool processes crashed in 3 minutes, 3 batches were finished"


def test_rejections_before_an_operator_resumed_the_lane_do_not_count():
    minutes = [minute(60, rejected=500), minute(120, rejected=80)]
    assert trip_reason(minutes, "documents", CONFIG, resumed=70) is None
    assert trip_reason([*minutes, minute(180, rejected=80)], "documents", CONFIG, resumed=70) is not None


def test_a_share_of_one_disables_the_breaker():
    never = CONFIG.model_copy(update={"breaker_share": 1.0})
    assert trip_reason([minute(0, rejected=10_000, deaths=1000)], "documents", never) is None
