"""The index, compared with a direct computation of the cosine."""

from math import exp, log, sqrt
from random import Random

import numpy as np
import pytest

from worker.linking.index import WINDOW_SECONDS, Index
from worker.linking.segment import FADING_DAYS
from worker.linking.texts.features import buckets_of, features_of_all
from worker.linking.texts.frequencies import Frequencies

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


def _features_of(title, excerpt=None):
    return features_of_all([(title, excerpt)])


def _add(index, texts, numbers):
    features = features_of_all([texts[number][:2] for number in numbers])
    index.add(numbers, [texts[number][2] for number in numbers], features)


def _near(index, texts, numbers, floor):
    features = features_of_all([texts[number][:2] for number in numbers])
    times = [texts[number][2] for number in numbers]
    found = index.neighbours(numbers, times, features, floor=floor, limit=1000)
    return {number: [(one.id, one.score) for one in near] for number, near in zip(numbers, found, strict=True)}


def _plain(texts, weights, query):
    """Return the neighbours of each article in `asked` by definition."""
    vectors, norms = {}, {}
    for number, text in texts.items():
        features = _features_of(*text[:2])
        counts = zip(features.buckets.tolist(), features.counts.tolist(), strict=True)
        vectors[number] = {bucket: weights[bucket] * count for bucket, count in counts}
        norms[number] = sqrt(sum(x * x for x in vectors[number].values()))
    found = {number: {} for number in query}
    for number, near in found.items():
        for other, (_, _, time) in texts.items():
            dot = sum(weight * vectors[other].get(bucket, 0.0) for bucket, weight in vectors[number].items())
            apart = abs(time - texts[number][2])
            if number != other and dot and apart <= WINDOW_SECONDS:
                near[other] = dot / (norms[number] * norms[other]) * exp(-apart / _DAY / FADING_DAYS)
    return found


@pytest.mark.parametrize("floor", [0.05, 0.4])
@pytest.mark.parametrize("frequent", [0, 60, 10_000])
def test_neighbours_are_those_by_the_definition_also_after_changes(monkeypatch, floor, frequent):
    monkeypatch.setattr("worker.linking.texts.frequencies._MIN_FREQUENT", frequent)
    monkeypatch.setattr("worker.linking.index._SMALL", 16)
    monkeypatch.setattr("worker.linking.index.MAX_ARTICLES", 128)
    random = Random(1)
    texts, index, frequencies = _texts(random, 300), Index(), Frequencies()
    numbers = sorted(texts)
    while numbers:
        size = random.randint(1, 30)
        _add(index, texts, numbers[:size])
        numbers = numbers[size:]
    frequencies.add(features_of_all([text[:2] for text in texts.values()]))
    index.set_frequencies(frequencies)
    for number in random.sample(sorted(texts), 150):
        if random.random() < 0.5:
            texts[number] = _texts(random, 1)[1]
            _add(index, texts, [number])
        else:
            del texts[number]
            index.remove([number])
    assert len(index) == len(texts)
    weights = frequencies.weights().astype(float).tolist()
    near = _near(index, texts, random.sample(sorted(texts), 40), floor)
    for query, by_definition in _plain(texts, weights, near).items():
        expected = {number: score for number, score in by_definition.items() if score >= floor}
        assert dict(near[query]) == pytest.approx(expected, abs=2e-6)


def test_a_pair_has_one_score_whichever_of_the_two_is_asked():
    texts, index, frequencies = _texts(Random(2), 100), Index(), Frequencies()
    frequencies.add(features_of_all([text[:2] for text in texts.values()]))
    index.set_frequencies(frequencies)
    for number in texts:
        _add(index, texts, [number])
    found = {
        (one, other): score for one, near in _near(index, texts, list(texts), 0.1).items() for other, score in near
    }
    assert len(found) > 50
    assert all(found[b, a] == score for (a, b), score in found.items())


def test_versions_are_returned_for_indexed_articles():
    index = Index()
    index.add([5, 3], [0.0, 0.0], features_of_all([("harbour ferry", None), ("old bridge", None)]), [50.0, 30.0])
    index.add([3], [0.0], _features_of("new bridge"), [31.0])
    index.remove([5])
    assert index.versions_of([3, 4, 5]).tolist() == pytest.approx([31.0, float("nan"), float("nan")], nan_ok=True)


def test_articles_older_than_the_window_are_removed():
    index = Index()
    for number in range(401):
        index.add([number], [number * _DAY], _features_of(f"harbour ferry {number}"))
    index.forget_before(340 * _DAY)
    assert len(index) == 61
    [found] = index.neighbours([-1], [350 * _DAY], _features_of("harbour ferry"), floor=0.1, limit=1000)
    assert {number for number, *_ in found} == set(range(340, 365))
    assert index.time_of_newest(1) == 400 * _DAY
    assert index.count_before(342 * _DAY) == 2


def test_articles_without_words_have_no_neighbours():
    index = Index()
    index.add([1, 2], [0.0, 0.0], features_of_all([("", None), ("…", "!")]))
    assert len(index) == 0
    assert index.neighbours([1], [0.0], _features_of(""), floor=0.0, limit=9) == [[]]


def test_frequencies_survive_a_dump():
    frequencies = Frequencies()
    frequencies.add(features_of_all([text[:2] for text in _texts(Random(3), 50).values()]))
    again = Frequencies.load(frequencies.documents, frequencies.dump())
    assert again.documents == 50
    assert np.array_equal(again.counts, frequencies.counts)
    assert np.array_equal(again.weights(), frequencies.weights())


def test_rare_words_weigh_more_and_common_words_nothing():
    frequencies = Frequencies()
    for number in range(1000):
        frequencies.add(_features_of("city" if number % 2 else f"ferry{number % 50}"))
    terms = ["city", "ferry2", "unseen", "city ferry2"]
    bucket = dict(zip(terms, buckets_of(terms).tolist(), strict=True))
    weights = frequencies.weights()
    assert weights[bucket["city"]] == 0
    assert weights[bucket["ferry2"]] == pytest.approx(sqrt(log(1100 / 20.5)), rel=1e-5)
    assert weights[bucket["unseen"]] > weights[bucket["ferry2"]] > 0
    assert weights[bucket["city ferry2"]] == pytest.approx(weights[bucket["unseen"]] / sqrt(2), rel=1e-5)


@pytest.mark.parametrize(("text", "weight"), [("Harbour ferry", log(200 / 100.5) / 2), ("港口", log(200 / 100.5))])
def test_a_common_pair_of_words_or_of_characters_keeps_its_weight(text, weight):
    """Copies of one report share nearly all pairs, and would have no weight at all where they are many."""
    frequencies = Frequencies()
    for _ in range(100):
        frequencies.add(_features_of(text))
    [bucket] = buckets_of([text.casefold()])
    assert frequencies.weights()[bucket] == pytest.approx(sqrt(weight), rel=1e-5)


def test_in_an_empty_store_function_words_weigh_nothing():
    bucket = dict(zip(["the", "ferry"], buckets_of(["the", "ferry"]).tolist(), strict=True))
    weights = Frequencies().weights()
    assert weights[bucket["the"]] == 0 < weights[bucket["ferry"]]


def test_articles_of_the_own_site_take_no_place_among_the_limited_ones_unless_their_title_is_the_same():
    index = Index()
    series = [(f"Harbour ferry strike day {number}", "Crews stop work at dawn") for number in range(400)]
    texts = [("Harbour ferry strike day 7", "Crews stop work at dawn"), *series, ("Ferry crews strike", "Work stops")]
    sites = [0, *[3] * 400, 4]
    ids = list(range(len(texts)))
    index.add(ids[1:], [0.0] * 401, features_of_all(texts[1:]), sites=sites[1:])

    def near(site):
        [found] = index.neighbours([0], [0.0], _features_of(*texts[0]), floor=0.1, limit=300, sites=[site])
        return {one.id for one in found}

    assert near(3) == {8, 401}, "the same title at the own site, and another site"
    assert 401 not in near(5), "of another site all of the series are similar, and better"
    assert len(near(5)) == len(near(0)) == 300


def test_only_candidates_take_a_place_among_the_limited_ones():
    index = Index()
    index.add(list(range(9)), [n * _DAY for n in range(9)], features_of_all([("harbour ferry", None)] * 9))
    [found] = index.neighbours(
        [99], [0.0], _features_of("harbour ferry"), floor=0.1, limit=2, is_candidate=lambda found: found.days > 3.5
    )
    assert [one.id for one in found] == [4, 5]


def test_articles_further_apart_than_asked_are_left_out_wherever_they_are_stored(monkeypatch):
    monkeypatch.setattr("worker.linking.index._SMALL", 16)
    monkeypatch.setattr("worker.linking.index.MAX_ARTICLES", 64)
    random, index = Random(3), Index()
    texts = {number: (*text[:2], number / 10 * _DAY) for number, text in _texts(random, 300).items()}
    for start in range(1, 301, 30):
        _add(index, texts, range(start, start + 30))
    numbers = sorted(texts)
    features = features_of_all([texts[number][:2] for number in numbers])
    times = [texts[number][2] for number in numbers]
    for first in (0, 130, 290):  # at the beginning, in the middle and at the end of what is stored
        rows = np.arange(first, first + 10)
        asked = numbers[first : first + 10], times[first : first + 10], features.take(rows)
        near = index.neighbours(*asked, floor=0.05, limit=1000, days=2)
        every = index.neighbours(*asked, floor=0.05, limit=1000)
        assert near == [[one for one in found if one.days <= 2] for found in every]
        assert sum(map(len, near)) < sum(map(len, every))
        assert any(near)
