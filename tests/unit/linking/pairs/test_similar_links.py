"""Which similar articles are linked, with which kind, and by which words."""

from random import Random

import numpy as np
import pytest

from worker.linking.index import Index
from worker.linking.pairs.evidence import Evidence
from worker.linking.pairs.similar_links import Link, PairLinks, Text, is_copy, may_be_linked, reasons_of
from worker.linking.texts.features import FEATURE_BITS, buckets_of, features_of_all, script_range
from worker.linking.texts.frequencies import Frequencies
from worker.linking.texts.words import SCRIPTS
from worker.linking.weights import Weights

_WEIGHTS = np.full(1 << FEATURE_BITS, np.float32(2.2))  # as if each word were in about 25 of 6,000 documents
_WEIGHTS[[script_range(script)[0] for script in range(SCRIPTS)]] = 3  # and words that none of them contains
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
    [reason] = reasons_of([Link("similar", one, other, Evidence(0.5, 9.0, 0.0))], Frequencies().weights())
    terms = reason.split(", ")
    assert set(terms) >= {"harbour ferry", "face scans"}, "as the first article has them, not cut"
    assert not {"harbour", "ferry", "face", "scans", "it", "the"} & set(terms)


@pytest.mark.parametrize(
    "title", ["Harbour ferry drops scans of the ferry", "宜兰近海 ferry 6.1级地震", "Паром сел на мель у Ischia", ""]
)
def test_the_terms_of_a_text_are_its_features_with_their_counts(title):
    terms, features = Text(title, _LONG, 1).terms, features_of_all([(title, _LONG)])
    assert dict(zip(buckets_of(list(terms)).tolist(), terms.values(), strict=True)) == dict(
        zip(features.buckets.tolist(), features.counts.tolist(), strict=True)
    )


_STRIKE = Text(
    "Ferry crews in Oslo stop work", "The strike of Norda's crews began at dawn; 900 passengers waited.", 1, 0.0
)


@pytest.mark.parametrize(("other", "linked"), [
    (Text("900 passengers wait as crews of Oslo ferry strike", "Norda says its crews stopped work at dawn.", 2, 3_600.0), True),
    (Text("900 passengers wait as crews of Oslo ferry strike", "Norda says its crews stopped work at dawn.", 1, 3_600.0), False),
    (Text("900 passengers wait as crews of Oslo ferry strike", "Norda says its crews stopped work at dawn.", 2, 9 * 86_400.0), False),
    (Text("Ferry crews in Bergen stop work", "The strike of Norda's crews began at dawn; 80 passengers waited.", 2, 3_600.0), False),
    (Text("How to travel while crews of Oslo ferry strike", "Norda says its crews stopped work at dawn.", 2, 3_600.0), False),
])  # fmt: skip
def test_only_two_reports_of_one_event_on_two_sites_are_linked(other, linked):
    links = PairLinks({1: _STRIKE, 2: other}, _WEIGHTS)
    assert (links.decide(1, 2, 0.3) is not None) is linked
    assert links.decide(2, 1, 0.3) == links.decide(1, 2, 0.3), "both ends agree"


def test_a_copied_text_is_linked_in_spite_of_a_conflict_and_the_reason_says_it():
    one = Text("Ferry drops scans in Oslo this week", _LONG, 1)
    other = Text("Ferry drops scans in Bergen this week", _LONG, 2)
    pairs = PairLinks({1: one, 2: other}, _WEIGHTS)
    assert pairs.decide(1, 2, 0.9).kind == "duplicate"
    assert pairs.reasons()[1, 2].endswith("; against: Bergen / Oslo"), "in the order of the titles"
    assert PairLinks({1: one, 2: other}, _WEIGHTS).decide(1, 2, 0.39) is None


@pytest.mark.parametrize(("title", "least"), [
    ("Ferry strike in Oslo", 0.15), ("Паром сел на мель", 0.20), ("宜兰外海发生地震", 0.30), ("Ferry 宜兰", 0.30), (None, 0.15),
])  # fmt: skip
def test_articles_in_other_scripts_need_a_higher_score(title, least):
    assert (
        PairLinks({1: Text(title, None, 1), 2: Text("Strike", None, 2)}, _WEIGHTS).evidence(1, 2, 0.5).least_score
        == least
    )


_DUTCH = (
    ("Veerboot vaart niet door harde wind", "De boot naar het eiland blijft vandaag in de haven omdat de wind te hard is voor de overtocht."),
    ("Museum krijgt nieuwe zaal", "Het museum aan het plein opent in het voorjaar een zaal voor de schilderijen van de stad."),
    ("Brug over de rivier gesloten", "Volgens de gemeente kan het verkeer tot en met vrijdag niet over de brug omdat die wordt geschilderd."),
    ("Bakker wint prijs voor brood", "De bakker van het dorp kreeg voor de derde keer de prijs voor het lekkerste brood van het land."),
)  # fmt: skip


def test_the_function_words_of_a_language_that_is_new_to_the_store_link_nothing():
    english = Frequencies()
    english.add(features_of_all([(f"The ferry {n} is late for the island", _LONG) for n in range(1000)]))
    texts = {n: Text(title, excerpt, n) for n, (title, excerpt) in enumerate(_DUTCH)}
    texts[9] = Text(
        "Harde wind: veerboot vaart niet", "Omdat de wind te hard is voor de overtocht blijft de boot in de haven.", 9
    )
    index = Index(Weights(english))
    index.add(list(texts), [0.0] * len(texts), features_of_all([(text.title, text.excerpt) for text in texts.values()]))
    features = features_of_all([(text.title, text.excerpt) for text in texts.values()])
    near = index.neighbours(list(texts), [0.0] * len(texts), features, floor=0.15, limit=9)
    pairs = PairLinks(texts, index.weights.each)
    compared = {
        (id_, other.id): pairs.decide(id_, other.id, other.score)
        for id_, found in zip(texts, near, strict=True)
        for other in found
    }
    assert len(compared) > 9, "they are alike, as far as English tells"
    assert {frozenset(pair) for pair, link in compared.items() if link} == {frozenset((0, 9))}


def test_ids_which_depend_on_the_order_of_arrival_change_neither_link_nor_reason():
    one = Text("Ferry drops scans in Oslo this week", _LONG, 1)
    other = Text("Ferries dropped the scan in Bergen this week", _LONG, 2)
    pairs, turned = PairLinks({1: one, 2: other}, _WEIGHTS), PairLinks({1: other, 2: one}, _WEIGHTS)
    assert pairs.decide(1, 2, 0.9).kind == turned.decide(1, 2, 0.9).kind
    assert pairs.reasons() == turned.reasons()
    assert pairs.reasons()[1, 2]


def test_each_of_many_reasons_names_the_words_of_its_own_link():
    titles = ("Harbour ferry drops face scans", "Old bridge of Norda closes", "", "Parade of lanterns in Oslo")
    links = [Link("similar", Text(title, None, 1), Text(title, None, 2), Evidence(0.5, 9.0, 0.0)) for title in titles]
    alone = [reasons_of([link], _WEIGHTS)[0] for link in links]
    assert reasons_of(links, _WEIGHTS) == alone
    assert reasons_of([], _WEIGHTS) == []
    assert len(set(alone)) == len(titles)


def test_the_words_in_common_that_the_index_counts_are_those_of_the_texts():
    random = Random(3)
    names = [f"name{number}" for number in range(200)]
    texts = {n: Text(" ".join(random.choices(names, k=6)), " ".join(random.choices(names, k=20)), n) for n in range(90)}
    features = features_of_all([(text.title, text.excerpt) for text in texts.values()])
    frequencies = Frequencies()
    frequencies.add(features)
    index = Index(Weights(frequencies))
    assert 5 < len(set(index.weights.frequent) & set(features.buckets)) < len(set(features.buckets)) - 20
    index.add(list(texts), [0.0] * len(texts), features)
    pairs = PairLinks(texts, index.weights.each)
    compared = 0
    for id_, found in enumerate(index.neighbours(list(texts), [0.0] * len(texts), features, floor=0.1, limit=99)):
        for other in found:
            assert other.shared == pytest.approx(pairs.evidence(id_, other.id, other.score).shared)
            compared += 1
    assert compared > 500
