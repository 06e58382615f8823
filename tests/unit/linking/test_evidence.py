"""Two similar articles report one event, or only follow one pattern."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.linking.evidence import Names, compare, conflicts
from worker.linking.texts.features import FEATURE_BITS

EVEN = np.full(1 << FEATURE_BITS, np.float32(2.4))
"""Weights under which each word is in about 20 of 6,000 documents."""


def evidence(one, other, days=0.0):
    return compare(Names.of(*one), Names.of(*other), days=days, weights=EVEN)


def test_reports_of_one_event_in_other_words_are_one_event():
    one = ("Ferry Aurora runs aground off Naples", "The coast guard took 80 passengers to Ischia.")
    other = ("80 people rescued from Aurora", "The ferry hit a reef near Naples; they were taken to Ischia.")
    assert evidence(one, other).is_one_event(0.25)


@pytest.mark.parametrize(("one", "other"), [
    ("Italy reports 627 new deaths", "Spain reports 832 new deaths"),
    ("Rovers beat Mill Town 2-1", "Rovers beat Castle 3-1"),
    ("Version 5.2 of Orchard is released", "Version 5.3 of Orchard is released"),
    ("Weather forecast for Bristol", "Weather forecast for Cardiff"),
])  # fmt: skip
def test_titles_of_one_pattern_with_other_names_are_no_event(one, other):
    found = evidence((one, "The report came on Friday."), (other, "The report came on Monday."))
    assert found.conflicts
    assert not found.is_one_event(0.39)


def test_days_between_two_articles_speak_against_one_event():
    one, other = ("Ferry strike in Oslo", "Crews stop work."), ("Crews of ferry strike", "Work stops in Oslo.")
    near, far = evidence(one, other), evidence(one, other, days=9)
    assert near.probability > far.probability
    assert not far.is_one_event(0.3)


def test_without_capital_letters_the_score_decides_unless_numbers_conflict():
    one, other = ("宜兰外海发生6.1级地震", "台北摇晃"), ("宜兰近海6.1级地震", "铁路停驶")
    assert evidence(one, other).is_one_event(0.35)
    assert not evidence(one, other).is_one_event(0.28)


@pytest.mark.parametrize(("one", "other", "expected"), [
    ("Italy reports 627 deaths", "Spain reports 832 deaths", [("Italy", "Spain"), ("627", "832")]),
    ("Stocks close lower on Monday", "Stocks close higher on Monday", []),
    ("A quite other wording of it", "Nothing in common here at all today", []),
])  # fmt: skip
def test_conflicts_are_what_stands_in_the_same_place(one, other, expected):
    assert conflicts(one.split(), other.split()) == expected


@pytest.mark.parametrize(("one", "other"), [
    ("‘Emberfall 2’ slips to autumn", "Emberfall 2 slips to autumn"),
    ("Norda's pilots stop work", "Norda pilots stop work"),
    ("NORDA’S PILOTS STOP WORK", "NORDA PILOTS STOP WORK"),
    ("Plumb Inc. buys a rival", "Plumb Inc buys a rival"),
])  # fmt: skip
def test_quotation_marks_and_possessive_endings_are_no_conflict(one, other):
    assert evidence((one, None), (other, None)).conflicts == []


def test_names_that_both_articles_contain_are_no_conflict():
    one = ("Tessel boss Ana Alder steps down", "She led Tessel, which belongs to Marlow, for nine years.")
    other = ("Marlow boss Ana Alder steps down", "Alder also led Tessel, a subsidiary of Marlow.")
    assert evidence(one, other).conflicts == []


def test_the_number_of_an_earlier_report_stays_a_conflict():
    one = ("Tyrol: 187 new infections", "Doctors treat 39 people in hospitals.")
    other = (
        "Tyrol: 212 new infections",
        "On Tuesday there were 187 new infections, in hospitals 41 people are treated.",
    )
    assert evidence(one, other).conflicts == [("187", "212")]


TEXT = st.one_of(
    st.none(), st.text(max_size=80), st.sampled_from(["Ferry Aurora near Naples", "Aurora: 12 dead", "宜兰6级"])
)


@given(TEXT, TEXT, TEXT, TEXT, st.floats(0, 14))
def test_both_ends_of_a_pair_decide_alike(title, excerpt, other_title, other_excerpt, days):
    one, other = (
        evidence((title, excerpt), (other_title, other_excerpt), days),
        evidence((other_title, other_excerpt), (title, excerpt), days),
    )
    assert 0 <= one.probability <= 1
    assert one.shared == other.shared
    assert one.unshared == other.unshared
