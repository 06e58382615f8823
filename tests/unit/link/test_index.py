"""The index against the cosine computed plainly."""

from math import log, sqrt
from random import Random

import numpy as np
import pytest

from worker.link.features import features_of, names_of
from worker.link.frequencies import Frequencies
from worker.link.index import WINDOW_SECONDS, Index

_WORDS = [f"w{number}" for number in range(60)]
_DAY = 86_400.0


def _texts(random, count):
    return {
        number: (
            " ".join(random.choices(_WORDS, k=4)),
            " ".join(random.choices(_WORDS, k=8)),
            random.uniform(0, 40) * _DAY,
        )
        for number in range(1, count + 1)
    }


def _plain(texts, weights, asked):
    """Neighbours of one article by the definition."""

    def vector(number):
        features = features_of(*texts[number][:2])
        return {b: weights[b] * c for b, c in zip(features.buckets.tolist(), features.counts.tolist(), strict=True)}

    mine, found = vector(asked), {}
    for number, (_, _, time) in texts.items():
        theirs = vector(number)
        dot = sum(weight * theirs.get(bucket, 0.0) for bucket, weight in mine.items())
        norms = sqrt(sum(x * x for x in mine.values())) * sqrt(sum(x * x for x in theirs.values()))
        if number != asked and dot and abs(time - texts[asked][2]) <= WINDOW_SECONDS:
            found[number] = dot / norms
    return found


@pytest.mark.parametrize("floor", [0.05, 0.4])
def test_neighbours_are_those_by_the_definition_also_after_changes(monkeypatch, floor):
    monkeypatch.setattr("worker.link.index._TAIL", 16)
    random = Random(1)
    texts, index, frequencies = _texts(random, 300), Index(), Frequencies()
    for number, (title, excerpt, time) in texts.items():
        index.add(number, time, features_of(title, excerpt))
        frequencies.add(features_of(title, excerpt))
    index.set_frequencies(frequencies)
    for number in random.sample(sorted(texts), 150):
        if random.random() < 0.5:
            texts[number] = _texts(random, 1)[1]
            index.add(number, texts[number][2], features_of(*texts[number][:2]))
        else:
            del texts[number]
            index.remove(number)
    assert len(index) == len(texts)
    weights = frequencies.weights().astype(float).tolist()
    for asked in random.sample(sorted(texts), 20):
        found = dict(index.neighbours(asked, texts[asked][2], features_of(*texts[asked][:2]), floor=floor, most=1000))
        expected = {number: score for number, score in _plain(texts, weights, asked).items() if score >= floor}
        assert found == pytest.approx(expected, abs=2e-6)


def test_a_pair_has_one_score_whichever_of_the_two_is_asked(monkeypatch):
    monkeypatch.setattr("worker.link.index._TAIL", 16)
    texts, index, frequencies = _texts(Random(2), 100), Index(), Frequencies()
    for title, excerpt, _ in texts.values():
        frequencies.add(features_of(title, excerpt))
    index.set_frequencies(frequencies)
    for number, (title, excerpt, time) in texts.items():
        index.add(number, time, features_of(title, excerpt))
    found = {
        (number, other): score
        for number, (title, excerpt, time) in texts.items()
        for other, score in index.neighbours(number, time, features_of(title, excerpt), floor=0.1, most=1000)
    }
    assert len(found) > 50
    assert all(found[b, a] == score for (a, b), score in found.items())


def test_what_is_outside_is_forgotten():
    index = Index()
    for number in range(600):
        index.add(number, number * _DAY, features_of(f"harbour ferry {number}", None))
    index.forget_outside(300 * _DAY, 400 * _DAY)
    assert len(index) == 101
    found = index.neighbours(-1, 350 * _DAY, features_of("harbour ferry", None), floor=0.1, most=1000)
    assert {number for number, _ in found} == set(range(336, 365))
    assert index.time_of_newest(1) == 400 * _DAY


def test_articles_without_words_are_like_none():
    index = Index()
    index.add(1, 0.0, features_of("", None))
    index.add(2, 0.0, features_of("…", "!"))
    assert len(index) == 0
    assert index.neighbours(1, 0.0, features_of("", None), floor=0.0, most=9) == []


def test_frequencies_survive_a_dump():
    frequencies = Frequencies()
    for title, excerpt, _ in _texts(Random(3), 50).values():
        frequencies.add(features_of(title, excerpt))
    again = Frequencies.load(frequencies.documents, frequencies.dump())
    assert again.documents == 50
    assert np.array_equal(again.counts, frequencies.counts)
    assert np.array_equal(again.weights(), frequencies.weights())


def test_what_is_rare_weighs_more_and_what_is_common_nothing():
    frequencies = Frequencies()
    for number in range(1000):
        frequencies.add(features_of("city" if number % 2 else f"ferry{number % 50}", None))
    bucket = {name: bucket for bucket, name in names_of("city ferry2 unseen", None).items()}
    weights = frequencies.weights()
    assert weights[bucket["city"]] == 0
    assert weights[bucket["ferry2"]] == pytest.approx(sqrt(log(1100 / 20.5)), rel=1e-5)
    assert weights[bucket["unseen"]] > weights[bucket["ferry2"]] > 0
    assert weights[bucket["city ferry2"]] == pytest.approx(weights[bucket["unseen"]] / sqrt(2), rel=1e-5)


def test_in_an_empty_store_function_words_weigh_nothing():
    bucket = {name: bucket for bucket, name in names_of("the ferry", None).items()}
    weights = Frequencies().weights()
    assert weights[bucket["the"]] == 0 < weights[bucket["ferry"]]
