"""The weights of features, and the places of the frequent ones."""

import numpy as np

from worker.linking.texts.features import FEATURE_BITS, features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.weights import Weights


def test_every_bucket_has_its_weight_and_each_frequent_one_its_place():
    frequencies = Frequencies()
    rare = [
        (f"rare{number} and the", f"often common{number % 5} в газете{number % 3} 東京{number % 2}")
        for number in range(400)
    ]
    frequencies.add(features_of_all(rare))
    weights = Weights(frequencies)
    buckets = np.arange(1 << FEATURE_BITS, dtype=np.int32)
    each, numbers = weights.of(buckets)
    assert (each == frequencies.weights()).all()
    frequent = frequencies.frequent()
    assert (np.flatnonzero(numbers != Weights.none) == frequent).all()
    assert (numbers[frequent] == np.arange(len(frequent))).all()


def test_no_buckets_have_no_weights():
    each, numbers = Weights(Frequencies()).of(np.zeros(0, np.int32))
    assert len(each) == len(numbers) == 0
