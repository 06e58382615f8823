"""The name of a provider, chosen among those that articles use."""

import pytest

from schemas.article import Provider
from worker.enrichment.providers import MOST_NAMES, choose_name, is_url, other_names, provider_of


@pytest.mark.parametrize(
    ("domain", "mentions", "name"),
    [
        ("harbour.example", {}, None),
        ("harbour.example", {"Courier": 1}, "Courier"),
        ("harbour.example", {"Courier": 4, "The Courier": 1}, "Courier"),
        ("harbour.example", {"Courier": 3, "The Courier": 1}, None),
        ("harbour.example", {"Courier": 3, "Courier News": 1, "CourierNews": 1}, "Courier"),
        ("harbour.example", {"Tide": 2, "Tides of Ada": 2, "Olive": 2}, None),
        ("hec.example", {"Harbour Evening Courier": 2, "hec.example": 3}, "Harbour Evening Courier"),
        ("hec.example", {"Harbour Evening Courier": 2, "HEC": 1, "Olive": 9}, "HEC"),
        ("hec.example", {"hec.example": 1}, "hec.example"),
        ("hec.example", {"hec.example": 1, "Olive": 1}, "hec.example"),
        ("harbour-courier.example", {"Courier": 2, "The Courier": 1}, "Courier"),
        ("courier.example", {"The Courier": 1, "Courier A": 1}, "Courier A"),
        ("msn.com", {"Sun on MSN": 5, "MSN News": 1}, "MSN News"),
        ("msn.com", {"Harbour Courier on MSN": 5, "MSN": 1}, "MSN"),
        ("pcgamer.com", {"pcgamer.com": 1, "PC Gamer": 3}, "PC Gamer"),
        ("videos.example", {"Olive": 2, "Ada": 2, "Tarn": 2, "Marsh": 2}, None),
        ("videos.example", {"Olive": 2, "Ada": 2, "Videos": 1, "Marsh": 2}, "Videos"),
    ],
)
def test_the_name_of_a_provider_does_not_depend_on_order(domain, mentions, name):
    assert choose_name(domain, mentions) == name
    assert choose_name(domain, dict(reversed(mentions.items()))) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("https://harbour.example/about", True),
        ("HTTP://harbour.example", True),
        ("//harbour.example", True),
        ("www.harbour.example", True),
        ("harbour.example/news", True),
        ("harbour.example", False),
        ("CBS Boston / WBZ", False),
        ("24/7 Wall St", False),
        ("A.B. News/Sport", False),
    ],
)
def test_an_address_is_no_name(name, expected):
    assert is_url(name) == expected
    assert provider_of(Provider(name=name, domain="harbour.example"), None).name == (None if expected else name)
    assert other_names("A", {name: 3}, []) == ([] if expected else [name])
    assert choose_name("harbour.example", {name: 3}) == (None if expected else name)


def test_other_names_are_the_stated_ones_then_the_most_frequent():
    assert other_names("A", {"B": 1, "C": 3, "A": 9, "D": 1}, ["E", "B"]) == ["E", "B", "C", "D"]
    assert len(other_names(None, {f"N{n}": 1 for n in range(500)}, [])) == MOST_NAMES
