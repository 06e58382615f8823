"""Fields that only some kinds of document have."""

import pytest

from schemas.kinds import model_of
from worker.enrichment.details import details_of, item_hashes, item_key
from worker.enrichment.enricher import enrich
from worker.enrichment.urls.canonical_urls import document_hash, url_hash


def read(**fields):
    return model_of(fields).model_validate(fields)


def test_the_fields_of_a_course_are_details():
    article = read(
        title="T", type="course", length="16 hours", price="$25.20", levels=["Beginner", " Beginner "],
        ratings={"average": "4.6", "count": "127"},
    )  # fmt: skip
    assert details_of(article) == {
        "length": "16 hours",
        "price": {"text": "$25.20", "amount": 25.2, "currency": "USD"},
        "levels": ["Beginner"],
        "ratings": {"average": 4.6, "count": 127},
    }
    assert enrich(article, "", source="s", key="k").duration_seconds == 57_600


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"type": "forum", "members": "2645"}, {"members": 2645}),
        ({"type": "profile", "yearFounded": "2016", "location": "Here"}, {"yearFounded": 2016, "location": "Here"}),
        ({"type": "code", "github": {"stars": "3", "languages": ["C"]}}, {"github": {"stars": 3, "languages": ["C"]}}),
        ({"type": "course", "price": "$$"}, {"price": {"text": "$$"}}),
        ({"type": "article"}, {}),
    ],
)
def test_the_fields_of_each_kind_are_details(fields, details):
    assert details_of(read(name="N", **fields)) == details


def test_the_excerpt_of_a_profile_is_its_overview():
    assert enrich(read(name="N", type="profile", overview="O", bio="B"), "", source="s", key="k").excerpt == "O"


@pytest.mark.parametrize(
    ("key", "item", "named"),
    [
        ("learning/collections/basics.md", "courses/first", "learning/courses/first.md"),
        ("companies/collections/made-here.md", "drift", "companies/drift.md"),
        ("basics.md", "first", "first"),
        ("set/basics", "first", "first"),
    ],
)
def test_an_item_names_a_key_relative_to_its_collection(key, item, named):
    assert item_key(key, item) == named


def test_items_are_urls_or_keys_each_once():
    items = ["https://www.a.example/x/", "https://a.example/x", "one", {"odd": 1}, " "]
    assert item_hashes(items, "s", "f/set/a.md") == [url_hash("https://a.example/x"), document_hash("s", "f/one.md")]
    assert item_hashes(["one"], "s", None) == []
    assert item_hashes(["one"], "s", "https://a.example/set") == []
