"""Which similar articles are linked, with which kind, and by which words."""

import pytest

from worker.linking.similar_links import Text, is_copy, may_be_linked, reason_of
from worker.linking.texts.features import buckets_of, features_of
from worker.linking.texts.frequencies import Frequencies

_LONG = "The ferry company takes down the cameras that scanned the faces of passengers at its gates after a week of protest."


def test_articles_of_one_site_are_linked_only_under_the_same_title():
    seven, eight = Text("Captain plays, episode 7", None, 1), Text("Captain plays, episode 8", None, 1)
    assert not may_be_linked(seven, eight)
    assert may_be_linked(seven, Text("Captain plays: Episode 7!", None, 1))
    assert may_be_linked(seven, Text("Captain plays, episode 8", None, 2))
    assert may_be_linked(Text("A", None, None), Text("B", None, None)), "a site that is not known is not the same"


@pytest.mark.parametrize(
    ("one", "other", "copied"),
    [
        (Text("Ferry drops scans", _LONG, 1), Text("Ferry drops scans", _LONG, 2), True),
        (Text("Ferry drops scans", _LONG, 1), Text("Ferry drops scans", _LONG[:80], 2), True),
        (Text("Ferry drops face scans", _LONG, 1), Text("After protest ferry drops face scans", _LONG, 2), True),
        (Text("Ferry drops scans", _LONG, 1), Text("Seven things to know today", _LONG, 2), False),
        (Text("Ferry drops scans", _LONG, 1), Text("Ferry drops scans", "A week of protest moved the company of the harbour ferry to a change of mind.", 2), False),
        (Text("Ferry drops the scans of faces at gates", None, 1), Text("Ferry drops the scans of faces at gates", _LONG, 2), True),
        (Text("Ferry news", None, 1), Text("Ferry news", None, 2), False),
    ],
)  # fmt: skip
def test_a_copy_has_the_same_text_under_a_similar_title(one, other, copied):
    assert is_copy(one, other) is copied
    assert is_copy(other, one) is copied


def test_the_reason_names_the_weightiest_words_without_repeats():
    one = Text("Harbour ferry drops face scans", "It was in the news.", 1)
    other = Text("Face scans are gone from the harbour ferry", "It was in the news.", 2)
    terms = reason_of(one, other, Frequencies().weights()).split(", ")
    assert set(terms) >= {"harbour ferry", "face scans"}
    assert not {"harbour", "ferry", "face", "scans", "it", "the"} & set(terms)


@pytest.mark.parametrize(
    "title", ["Harbour ferry drops scans of the ferry", "宜兰近海 ferry 6.1级地震", "Паром сел на мель у Ischia", ""]
)
def test_the_terms_of_a_text_are_its_features_with_their_counts(title):
    terms, features = Text(title, _LONG, 1).terms, features_of(title, _LONG)
    assert dict(zip(buckets_of(list(terms)).tolist(), terms.values(), strict=True)) == dict(
        zip(features.buckets.tolist(), features.counts.tolist(), strict=True)
    )
