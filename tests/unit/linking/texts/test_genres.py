"""Which titles announce a guide, a list, the answer to a question or a market report."""

import pytest

from worker.linking.texts.genres import is_reference


@pytest.mark.parametrize("title", [
    "How to prune roses",
    "Emberfall: Best builds of the archer",
    "The 10 best museums of Graz",
    "Top 5 hiking trails near Cork",
    "Orchard Search: Everything you need to know",
    "Tutorial: build a weather app",
    "Emberfall rune puzzle guide",
    "What is a heat pump?",
    "Is the Emberfall deluxe edition worth the money?",
    "Orchard 5: Will progress carry over to the next season?",
    "Getting started with Orchard Functions",
    "Industrial Lasers Market 2021 Size, Share, Growth and Forecast to 2027",
    "Global Drone Market Outlook, Key Players Tessel, Arcus, Marlow",
    "7 things to see in Naples",
    "Why ferries are late",
])  # fmt: skip
def test_texts_of_reference(title):
    assert is_reference(title)


@pytest.mark.parametrize("title", [
    "Ferry Aurora runs aground off Naples",
    "Job market growth slows in May",
    "Stock markets fall after vote",
    "Fish market of Wuhan reopens",
    "Guided missile hits bridge",
    "Rovers' best season ends with a cup",
    "Harbour Rovers against Castle United: 5 goals in ten minutes",
    "Senate asks what the minister knew",
    "Did not finish: marathon runners stop at bridge",
    "Tipster pleads guilty",
    "宜兰外海地震",
    "",
    None,
])  # fmt: skip
def test_news(title):
    assert not is_reference(title)
