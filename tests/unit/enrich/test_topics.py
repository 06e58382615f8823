"""Topics: stated and inferred."""

import pytest

from worker.enrich.topics import TopicFinder, stated_topics, topic_slug

FINDER = TopicFinder({
    "seamanship": ["splice", "Night  sailing", "self driving"], "birds": ["gull", "splice"], "c": ["C++"], "none": [" ", "x"],
})  # fmt: skip


def test_stated_topics_are_cleaned_and_each_is_kept_once():
    assert stated_topics([" AI ", "ai", "Fish &amp; ships", "Fish  & Ships", ""]) == ["AI", "Fish & ships"]
    assert topic_slug(" Fish &amp;  Ships ") == "fish & ships"


@pytest.mark.parametrize(
    ("title", "excerpt", "found"),
    [
        ("How to splice", None, ["birds", "seamanship"]),
        (None, "Two gulls", ["birds"]),
        ("NIGHT SAILING", "", ["seamanship"]),
        ("A self-driving boat", "", ["seamanship"]),
        ("Night", "sailing", []),
        ("A seagull, spliced", "night-time sailing", []),
        ("Written in C++", "", ["c"]),
        ("Written in C, x", "", []),
        (None, None, []),
    ],
)
def test_keywords_are_found_as_whole_words(title, excerpt, found):
    assert FINDER.find(title, excerpt) == found


def test_without_reference_topics_nothing_is_found():
    assert TopicFinder({}).find("splice", "splice") == []
