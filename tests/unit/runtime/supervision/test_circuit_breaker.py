"""When a lane, or some of its sources, are paused automatically."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.activity.minute_counters import Minute
from worker.runtime.supervision.circuit_breaker import Trip, trip
from worker.settings import Settings

CONFIG = Settings(breaker_minutes=3, breaker_share=0.5, breaker_documents=100, breaker_deaths=10)


def minute(at, *, stored=0, rejected=0, deaths=0, batches=0, lane="documents", source="crawler"):
    found = Minute(at, batches=Counter({lane: batches}), deaths=Counter({lane: deaths}))
    found.outcomes.update({(lane, source, "stored"): stored, (lane, source, "rejected"): rejected})
    if rejected:
        found.codes[lane, source, "no_front_matter"] = rejected
    return found


def test_the_source_that_causes_the_rejections_is_paused_with_codes():
    found = trip([minute(0, rejected=70, stored=30), minute(60, rejected=50)], "documents", CONFIG)
    assert found == Trip(
        "120 of 150 documents were rejected in 3 minutes (no_front_matter 120; most from crawler: 120)", ("crawler",)
    )


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
    assert trip(minutes, "documents", CONFIG) is None


def many(**shares):
    """A minute in which each source has 100 documents, so many of them rejected."""
    found = minute(0)
    for source, rejected in shares.items():
        part = minute(0, stored=100 - rejected, rejected=rejected, source=source)
        found.outcomes.update(part.outcomes)
        found.codes.update(part.codes)
    return found


@pytest.mark.parametrize(("minutes", "sources"), [
    ([many(bad=100, good=10)], ("bad",)),
    ([many(bad=100, worse=100, good=10)], ("bad", "worse")),
    ([many(a=90, b=90, c=90, good=0)], ("a", "b", "c")),
    ([many(a=90, b=90, c=90, d=90, good=0)], ()),
    ([many(**dict.fromkeys("abcdefghij", 60))], ()),
    ([minute(0, rejected=1000, source="bad"), minute(60, rejected=4, source="small"), minute(60, stored=9, source="good")], ("bad",)),
    ([minute(0, rejected=300, stored=700, source="large"), minute(60, rejected=900, source="bad")], ("bad",)),
    ([minute(0, rejected=1000, source="(other)"), minute(60, stored=100, source="good")], ()),
    ([minute(0, rejected=1000, source="x" * 63 + "…"), minute(60, stored=100, source="good")], ()),
], ids=["one", "two", "three", "four", "all", "a small bad one stays", "a large one that is mostly good stays", "unknown", "cut"])  # fmt: skip
def test_few_causes_are_paused_and_many_or_unknown_ones_pause_the_lane(minutes, sources):
    found = trip(minutes, "documents", CONFIG)
    assert found is not None
    assert sorted(found.sources) == sorted(sources)


def test_a_lane_whose_batches_kill_pool_processes_is_paused():
    why = Trip("30 pool processes crashed in 3 minutes, 3 batches were finished")
    assert trip([minute(0, deaths=30, batches=3)], "documents", CONFIG) == why


def test_rejections_before_an_operator_resumed_the_lane_do_not_count():
    minutes = [minute(60, rejected=500), minute(120, rejected=80)]
    assert trip(minutes, "documents", CONFIG, resumed=70) is None
    assert trip([*minutes, minute(180, rejected=80)], "documents", CONFIG, resumed=70) is not None


def test_rejections_before_an_operator_resumed_the_source_do_not_count():
    minutes = [minute(60, rejected=500), minute(120, rejected=80)]
    assert trip(minutes, "documents", CONFIG, ignored={"crawler": 70}) is None
    assert trip(minutes, "documents", CONFIG, ignored={"other": 70}) is not None
    assert trip([*minutes, minute(180, rejected=80)], "documents", CONFIG, ignored={"crawler": 70}) is not None


def test_a_share_of_one_disables_the_breaker():
    never = CONFIG.model_copy(update={"breaker_share": 1.0})
    assert trip([minute(0, rejected=10_000, deaths=1000)], "documents", never) is None
