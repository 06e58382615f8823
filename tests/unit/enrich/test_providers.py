"""The name of a provider among those that articles say."""

import pytest

from worker.enrich.providers import MOST_NAMES, choose_name, other_names


@pytest.mark.parametrize(
    ("domain", "said", "name"),
    [
        ("harbour.example", {}, None),
        ("harbour.example", {"Courier": 1}, "Courier"),
        ("harbour.example", {"Courier": 4, "The Courier": 1}, "Courier"),
        ("harbour.example", {"Courier": 3, "The Courier": 1}, None),
        ("harbour-courier.example", {"Courier": 2, "The Courier": 1}, "Courier"),
        ("courier.example", {"The Courier": 1, "Courier A": 1}, "Courier A"),
        ("msn.com", {"Sun on MSN": 5, "MSN News": 1}, "MSN News"),
        ("msn.com", {"Harbour Courier on MSN": 5, "MSN": 1}, "MSN"),
        ("pcgamer.com", {"pcgamer.com": 1, "PC Gamer": 3}, "PC Gamer"),
        ("videos.example", {"Olive": 2, "Ada": 2, "Tarn": 2, "Marsh": 2}, None),
        ("videos.example", {"Olive": 2, "Ada": 2, "Videos": 1, "Marsh": 2}, "Videos"),
    ],
)
def test_the_name(domain, said, name):
    assert choose_name(domain, said) == name
    assert choose_name(domain, dict(reversed(said.items()))) == name


def test_other_names_are_those_stated_then_those_said_most():
    assert other_names("A", {"B": 1, "C": 3, "A": 9, "D": 1}, ["E", "B"]) == ["E", "B", "C", "D"]
    assert len(other_names(None, {f"N{n}": 1 for n in range(500)}, [])) == MOST_NAMES
