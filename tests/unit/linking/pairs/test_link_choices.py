"""An article chooses its best links, and a link is stored if one of its ends chose it."""

from collections import Counter

import numpy as np
import pytest

from worker.linking.index import Neighbour
from worker.linking.pairs.link_choices import MAX_LINKS, choose_links
from worker.linking.pairs.similar_links import PairLinks, Text
from worker.linking.texts.features import FEATURE_BITS, script_range
from worker.linking.texts.words import SCRIPTS

_WEIGHTS = np.full(1 << FEATURE_BITS, np.float32(2.2))
_WEIGHTS[[script_range(script)[0] for script in range(SCRIPTS)]] = 3
_EXCERPT = "The strike of Norda's crews began at dawn; 900 passengers waited on the quay of the island."


def _texts(count):
    return {n: Text("Crews of the Oslo ferry strike at dawn", _EXCERPT, n) for n in range(count)}


def _near(id_, others, scores):
    return [Neighbour(other, scores(id_, other), 40.0, 0.0) for other in others if other != id_]


def _distance(one, other):
    return 0.9 - abs(one - other) / 1000


def _hash_of(count):
    return {n: n.to_bytes(16, "big") for n in range(count)}


def _choose(batch, count, *, scores=_distance, twins=(), chosen_by_others=(), hash_of=None):
    similar = {id_: _near(id_, range(count), scores) for id_ in batch}
    pairs = PairLinks(_texts(count), _WEIGHTS)
    return choose_links(similar, pairs, set(twins), set(chosen_by_others), hash_of or _hash_of(count))


def test_the_links_of_many_reports_of_one_event_are_bounded():
    count = 3 * MAX_LINKS
    links_of = _choose(range(count), count)
    chosen = Counter(id_ for id_, found in links_of.items() for link in found if link.rank is not None)
    assert set(chosen.values()) == {MAX_LINKS}
    assert sum(map(len, links_of.values())) <= 2 * MAX_LINKS * count
    assert all(
        id_ in {link.other for link in links_of[link.other]} for id_, found in links_of.items() for link in found
    ), "both ends"


def test_an_article_chooses_those_with_the_best_scores():
    [found] = _choose([0], 2 * MAX_LINKS).values()
    assert [(link.other, link.rank) for link in found] == [(n + 1, n) for n in range(MAX_LINKS)]


def test_a_link_that_only_the_other_end_chose_stays():
    last = 2 * MAX_LINKS - 1
    [found] = _choose([0], 2 * MAX_LINKS, chosen_by_others=[(0, last)]).values()
    assert [(link.other, link.rank) for link in found[MAX_LINKS:]] == [(last, None)]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_equal_scores_are_ordered_by_the_hash_and_not_by_the_id(is_reversed):
    count = 2 * MAX_LINKS
    hash_of = {n: (count - n if is_reversed else n).to_bytes(16, "big") for n in range(count)}
    [found] = _choose([0], count, scores=lambda *_: 0.8, hash_of=hash_of).values()
    assert max(link.other for link in found) == (count - 1 if is_reversed else MAX_LINKS)


def test_two_addresses_of_one_article_are_linked_besides():
    [found] = _choose([0], 2 * MAX_LINKS, twins=[(5, 0)]).values()
    assert (found[0].other, found[0].kind, found[0].score) == (5, "duplicate", 1.0)
    assert len(found) == MAX_LINKS + 1
