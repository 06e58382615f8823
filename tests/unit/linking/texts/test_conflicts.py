"""What stands in the same place of two titles and differs."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.linking.texts.conflicts import TitleNames, conflicts_of


def conflicts(one, other):
    return conflicts_of(TitleNames.of(*one), TitleNames.of(*other))


@pytest.mark.parametrize(("one", "other", "expected"), [
    ("Ministry: Italy reports 627 deaths", "Ministry: Spain reports 832 deaths", [("Italy", "Spain"), ("627", "832")]),
    ("Rovers beat Mill Town 2-1", "Rovers beat Castle 3-1", [("Mill Town 2-1", "Castle 3-1")]),
    ("Version 5.2 of Orchard is released", "Version 5.3 of Orchard is released", [("5.2", "5.3")]),
    ("Weather forecast for Bristol", "Weather forecast for Cardiff", [("Bristol", "Cardiff")]),
    ("宜兰外海 6.1 地震", "宜兰外海 5.8 地震", [("6.1", "5.8")]),
])  # fmt: skip
def test_other_names_and_numbers_in_one_pattern_are_conflicts(one, other, expected):
    assert conflicts((one, "The report came on Friday."), (other, "The report came on Monday.")) == expected


@pytest.mark.parametrize(("one", "other"), [
    ("Stocks close lower on Monday", "Stocks close higher on Monday"),
    ("A quite other wording of it", "Nothing in common here at all today"),
    ("‘Emberfall 2’ slips to autumn", "Emberfall 2 slips to autumn"),
    ("Norda's pilots stop work", "Norda pilots stop work"),
    ("NORDA’S PILOTS STOP WORK", "NORDA PILOTS STOP WORK"),
    ("Plumb Inc. buys a rival", "Plumb Inc buys a rival"),
    ("Tessel buys Plumb for $200M", "Tessel buys Plumb for 200 million dollars"),
    ("Tessel buys chip maker Plumb", "Tessel buys Plumb for 200 million"),
    ("Tessel Launches a New Ferry Line", "Tessel Is Opening a New Ferry Line"),
    ("NORDA PILOTS STOP WORK", "NORDA CREWS STOP WORK"),
])  # fmt: skip
def test_another_wording_is_no_conflict(one, other):
    assert conflicts((one, "It was in the news."), (other, "Nobody was hurt.")) == []


def test_in_a_title_whose_words_all_have_capitals_only_what_the_excerpt_names_is_a_name():
    one, other = "Ferry Line Opens Between Bristol And Cork", "Ferry Line Opens Between Cardiff And Cork"
    assert conflicts((one, None), (other, None)) == []
    assert conflicts((one, "The port of Bristol was repaired."), (other, "Boats leave Cardiff at noon.")) == [
        ("Bristol", "Cardiff")
    ]


def test_names_that_the_other_article_contains_are_no_conflict():
    one = ("Tessel boss Ana Alder steps down", "She led Tessel, which belongs to Marlow, for nine years.")
    other = ("Marlow boss Ana Alder steps down", "Alder led the maker of phones for nine years.")
    assert conflicts(one, other) == []


def test_the_number_of_an_earlier_report_stays_a_conflict():
    one = ("Tyrol: 187 new infections", "Doctors treat 39 people in hospitals.")
    other = (
        "Tyrol: 212 new infections",
        "On Tuesday there were 187 new infections, in hospitals 41 people are treated.",
    )
    assert conflicts(one, other) == [("187", "212")]


TEXT = st.one_of(
    st.none(), st.text(max_size=80), st.sampled_from(["Ferry Aurora near Naples", "Aurora: 12 dead", "宜兰6级"])
)


@given(TEXT, TEXT, TEXT, TEXT)
def test_any_texts_can_be_compared_and_equal_titles_have_no_conflict(title, excerpt, other_title, other_excerpt):
    conflicts((title, excerpt), (other_title, other_excerpt))
    assert conflicts((title, excerpt), (title, other_excerpt)) == []


_TITLE = st.lists(
    st.sampled_from(["Italy", "Spain", "reports", "7", "8", "x2", "the", "Cases", "iPad"]), max_size=8
).map(" ".join)


@given(_TITLE, _TITLE, _TITLE, _TITLE)
def test_titles_that_are_not_compared_place_by_place_have_no_conflict(one, other, excerpt, other_excerpt):
    names = TitleNames.of(one, excerpt), TitleNames.of(other, other_excerpt)
    found = conflicts_of(*names)
    with mock.patch("worker.linking.texts.conflicts._may_conflict", return_value=True):
        assert conflicts_of(*names) == found
