"""Topics: stated and inferred."""

import pytest

from worker.enrichment.topics import TopicFinder, better_spelling, stated_topics, topic_slug

FINDER = TopicFinder({
    "seamanship": ["splice", "Night  sailing", "self driving"], "birds": ["gull", "splice"], "c": ["C++"], "none": [" ", "x"],
})  # fmt: skip


def test_stated_topics_are_cleaned_and_each_is_kept_once():
    assert stated_topics([" AI ", "ai", "Fish &amp; ships", "Fish  & Ships", ""]) == ["AI", "Fish & Ships"]
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


PLACES = TopicFinder({"harwich sailing": ["Harwich", "tall ship"], "sailing in winter": ["winter", "ice"]})


@pytest.mark.parametrize(
    ("title", "excerpt", "found"),
    [
        ("Harwich wakes", None, ["harwich sailing"]),
        ("News", "A man of Harwich was heard.", []),
        ("News", "A man of Harwich was heard. Harwich listened.", ["harwich sailing"]),
        ("News", "Sailing off Harwich", ["harwich sailing"]),
        ("Sailing", "A man of Harwich was heard.", ["harwich sailing"]),
        ("News", "A tall ship was seen.", ["harwich sailing"]),
        ("News", "It rained. A tall ship was seen.", ["harwich sailing"]),
        ("News", "Ice was seen. It rained.", ["sailing in winter"]),
        ("News", "It rained. Ice was seen.", []),
        ("News", "It rained. Ice was seen, and more ice.", ["sailing in winter"]),
        ("Ice", "It rained.", ["sailing in winter"]),
        ("News", "All that autumn and winter it rained. A wet winter, then.", ["sailing in winter"]),
    ],
)
def test_a_part_of_a_topics_name_does_not_match(title, excerpt, found):
    assert PLACES.find(title, excerpt) == found


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Ice, fog, wind and rain", []),
        ("The market of ropes to grow by half | Ice, Fog (FG), Wind", []),
        ("Fog, Wind, Ice and Rain came down on us all. The end", []),
        ("Fog, Wind, Ice. A tall ship was seen", ["harwich sailing", "sailing in winter"]),
        ("Ice, fog and wind", ["sailing in winter"]),
        ("More of the ice. Ice, fog, wind, rain", ["sailing in winter"]),
        ("The harbour lay under ice, and for all that the ferry, it was said, went, slowly", ["sailing in winter"]),
        (", ,ice,,;: ( ) and or", ["sailing in winter"]),
    ],
)
def test_an_item_of_a_long_list_is_not_a_topic(title, found):
    assert PLACES.find(title, None) == found
    assert PLACES.find(None, title) == found


def test_an_article_has_as_many_topics_as_it_may_state():
    shared = TopicFinder({f"topic {n:05}": ["gull"] for n in range(3_000)})
    assert shared.find("Two gulls", None) == [f"topic {n:05}" for n in range(1_000)]
    named = {f"kw{n:05}": [f"kw{n:05}"] for n in range(3_000)}
    assert TopicFinder(named).find(" ".join(named), None) == sorted(named)[:1_000]


def test_the_beginning_of_a_long_excerpt_is_searched():
    assert FINDER.find(None, "x" * 19_000 + " gulls") == ["birds"]
    assert FINDER.find(None, "x" * 20_000 + " gulls") == []


def test_without_reference_topics_nothing_is_found():
    assert TopicFinder({}).find("splice", "splice") == []


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("ai", "AI"),
        ("ferries", "Ferries"),
        ("FERRIES", "Ferries"),
        ("FERRIES", "ferries"),
        ("Machine learning", "Machine Learning"),
    ],
)
def test_the_better_spelling_of_a_topic_does_not_depend_on_order(worse, better):
    assert better_spelling(worse, better) == better_spelling(better, worse) == better
    assert stated_topics([worse, better]) == stated_topics([better, worse]) == [better]
