"""Two similar articles report one event, or only follow one pattern."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.linking.pairs.evidence import Evidence, may_be_one_event

LIKELY = Evidence(score=0.35, shared=25.0, days=0.2)


def test_similar_articles_of_one_day_with_many_rare_words_in_common_are_one_event():
    assert LIKELY.is_one_event
    assert LIKELY.against == []


@pytest.mark.parametrize("change", [
    {"score": 0.14},
    {"score": 0.20, "shared": 2.0},
    {"score": 0.20, "days": 9.0},
    {"conflicts": [("627", "832")]},
    {"has_reference": True},
    {"least_score": 0.36},
])  # fmt: skip
def test_what_speaks_against_one_event_prevents_a_link(change):
    assert not replace(LIKELY, **change).is_one_event


def test_a_text_of_reference_is_linked_only_where_nearly_all_is_the_same():
    one = replace(LIKELY, has_reference=True, score=0.9, shared=150.0, days=0.0)
    assert one.is_one_event
    assert one.against == ["guide or market report"]


@given(st.floats(0.15, 1), st.floats(0, 300), st.floats(0, 14), st.floats(0, 1), st.floats(0, 100), st.floats(0, 14))
def test_a_higher_score_more_shared_words_and_fewer_days_never_speak_against(score, shared, days, higher, more, later):
    one = Evidence(score, shared, days)
    assert one.log_odds <= replace(one, score=score + higher).log_odds
    assert one.log_odds <= replace(one, shared=shared + more).log_odds
    assert one.log_odds >= replace(one, days=days + later).log_odds


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 300), st.floats(0, 14)), min_size=1))
def test_many_pairs_at_once_are_judged_like_each_alone(pairs):
    evidence = [Evidence(*pair) for pair in pairs]
    expected = [one.is_one_event or one.score >= 0.4 for one in evidence]
    near = [abs(one.log_odds - 2.2) < 1e-6 for one in evidence]
    found = may_be_one_event(*np.array(pairs).T).tolist()
    assert all(one == other or is_near for one, other, is_near in zip(found, expected, near, strict=True))
    assert all(one or not other for one, other in zip(found, expected, strict=True)), (
        "none that is possible is left out"
    )
