"""The rule of stories: compared with a full recomputation, and on small examples."""

from random import Random

import pytest

from worker.heat_rules import HeatRules
from worker.linking.story_assignment import (
    MIN_LINKS,
    Member,
    Neighbour,
    Node,
    assign_stories,
    groups_of,
    heat_of,
    keep_ids,
    lead_of,
)


class Graph:
    """Articles 0 to n in order of time, with their links and the stored first articles."""

    def __init__(self, count):
        self.links = {one: {} for one in range(count)}
        self.firsts = {one: one for one in range(count)}

    def link(self, one, other, score):
        self.links[one][other] = self.links[other][one] = score

    def part(self, one, other):
        self.links[one].pop(other, None)
        self.links[other].pop(one, None)

    def look(self, ids):
        return {
            one: Node(one, self.order(one), self.firsts[one], [
                Neighbour(other, score, self.order(other), self.firsts[other]) for other, score in self.links[one].items()
            ])
            for one in ids
        }  # fmt: skip

    @staticmethod
    def order(one):
        return one // 5, bytes([one % 5])

    def update(self, touched):
        self.firsts.update(assign_stories(touched, self.look))

    def anew(self):
        fresh = Graph(len(self.links))
        fresh.links = self.links
        return assign_stories(self.links, fresh.look)


@pytest.mark.parametrize("seed", range(20))
def test_an_incremental_update_equals_a_full_recomputation(seed):
    random, graph = Random(seed), Graph(30)
    for _ in range(200):
        one, other = random.sample(range(30), 2)
        if random.random() < 0.7:
            graph.link(one, other, random.choice((0.4, 0.5, 0.5, 0.9)))
            graph.update({one})
        else:
            graph.part(one, other)
            graph.update({one, other})
        assert graph.firsts == graph.anew()


def test_later_articles_are_read_together():
    graph, reads = Graph(20), []
    for one in range(0, 20, 2):
        graph.link(one, one + 1, 0.5)

    def look(ids):
        reads.append(sorted(ids))
        return graph.look(ids)

    assign_stories(range(0, 20, 2), look)
    assert reads == [list(range(0, 20, 2)), list(range(1, 20, 2))]


def test_a_chain_does_not_become_one_large_story():
    graph = Graph(20)
    for one in range(19):
        graph.link(one, one + 1, 0.5)
    graph.update(range(20))
    assert max(map(len, groups_of(graph.firsts).values())) == 2


def test_an_article_joins_the_first_article_it_is_most_like_and_of_equals_the_earliest():
    graph = Graph(4)
    graph.link(3, 0, 0.5)
    graph.link(3, 1, 0.6)
    graph.link(3, 2, 0.6)
    graph.update(range(4))
    assert graph.firsts == {0: 0, 1: 1, 2: 2, 3: 1}


@pytest.mark.parametrize("links", [MIN_LINKS - 1, MIN_LINKS])
def test_an_article_with_several_links_to_a_story_joins_it_without_a_link_to_its_first_article(links):
    graph = Graph(10)
    for one in range(1, 6):
        graph.link(0, one, 0.5)
    for one in range(1, 1 + links):
        graph.link(one, 9, 0.4)
    graph.update(range(10))
    assert (graph.firsts[9] == 0) is (links >= MIN_LINKS)


def test_an_article_joins_the_story_with_the_most_links_and_of_equals_that_with_the_best_link():
    graph = Graph(20)
    for first, members in ((0, (5, 6, 7)), (1, (10, 11, 12)), (2, (15, 16, 17, 18))):
        for member in members:
            graph.link(first, member, 0.9)
            graph.link(member, 19, 0.3)
    graph.update(range(20))
    assert graph.firsts[19] == 2
    graph.part(18, 19)
    graph.link(11, 19, 0.4)
    graph.update({11, 18, 19})
    assert graph.firsts[19] == 1


def test_a_link_to_a_first_article_counts_more_than_several_links_to_another_story():
    graph = Graph(10)
    for member in (5, 6, 7):
        graph.link(0, member, 0.9)
        graph.link(member, 9, 0.9)
    graph.link(1, 9, 0.2)
    graph.update(range(10))
    assert graph.firsts[9] == 1


def test_a_story_that_splits_leaves_its_id_to_the_larger_part():
    kept, ended = keep_ids({1: [1, 2, 3], 4: [4, 5]}, {1: 70, 2: 70, 3: 70, 4: 70, 5: 70})
    assert kept == {1: 70}
    assert ended == set()


def test_merged_stories_keep_the_id_of_the_larger():
    kept, ended = keep_ids({1: [1, 2, 3, 4, 5]}, {1: 70, 2: 70, 3: 71, 4: 71, 5: 71})
    assert kept == {1: 71}
    assert ended == {70}


def _member(id_, quality, time=0.0):
    return Member(id_, quality, time, bytes([id_]))


def test_the_lead_is_the_best_by_quality_then_the_earliest():
    assert lead_of([_member(1, 40), _member(2, 61, 9.0), _member(3, 61, 5.0), _member(4, None)]).id == 3


@pytest.mark.parametrize(("qualities", "heat"), [([34, 61, None], 101), ([49, 20], 49), ([50, 50], 70), ([None], 0)])
def test_a_good_lead_gives_its_story_a_bonus_for_each_other_article(qualities, heat):
    assert heat_of([_member(n, quality) for n, quality in enumerate(qualities)], HeatRules()) == heat


def test_the_bonus_and_the_quality_that_earns_it_are_those_of_the_rules():
    assert heat_of([_member(1, 45), _member(2, 30), _member(3, 20)], HeatRules(bonus=10, floor=40)) == 65
