"""The rules of heat, one case each."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest

from worker.enrichment.heat import NEVER_OUTRANKED, NOT_LEAD, Peer, heat_of, lead_of
from worker.heat_rules import AllRules, HeatRules, parse_rules

RULES = HeatRules(bonus=20, floor=50, threshold=70)


def peer(quality, day=10, hour=12, title="M", url_hash=b""):
    return Peer(quality, datetime(2020, 5, day, hour, tzinfo=UTC) if day else None, title, url_hash)


@pytest.mark.parametrize(
    ("article", "related", "heat", "published", "lead"),
    [
        (peer(34), [], 34, False, None),
        (peer(60), [], 60, False, None),
        (peer(60), [peer(59)], 80, True, None),
        (peer(50), [peer(1), peer(2)], 90, True, None),
        (peer(49), [peer(1), peer(2)], 49, False, None),
        (peer(34), [peer(20), peer(61)], -1, False, 1),
        (peer(60), [peer(61), peer(90), peer(80)], -1, False, 1),
        (peer(60), [peer(None)], 80, True, None),
        (peer(60, day=10), [peer(60, day=9)], -1, False, 0),
        (peer(60, day=10), [peer(60, day=11)], 80, True, None),
        (peer(60, hour=8, title="B"), [peer(60, hour=9, title="A")], -1, False, 0),
        (peer(60, hour=9, title="A"), [peer(60, hour=8, title="B")], 80, True, None),
        (peer(60, title="A b"), [peer(60, title="A, B")], 80, True, None),
        (peer(60, title="It's A"), [peer(60, title="Its B")], 80, True, None),
        (peer(60, title="‘A’ zebra"), [peer(60, title="A yak")], -1, False, 0),
        (peer(60, title="A - b"), [peer(60, title="A a")], -1, False, 0),
        (peer(60, title="On tides"), [peer(60, title="On tides and ebbs")], -1, False, 0),
        (peer(60, title="On tide"), [peer(60, title="On tides")], 80, True, None),
        (peer(60), [peer(60, day=None, title="A")], 80, True, None),
        (peer(60, day=None), [peer(60)], -1, False, 0),
        (peer(60, hour=9), [peer(60, hour=8)], -1, False, 0),
        (peer(60, hour=8), [peer(60, hour=9)], 80, True, None),
        (peer(60, url_hash=b"b"), [peer(60, url_hash=b"a")], -1, False, 0),
        (peer(60, url_hash=b"a"), [peer(60, url_hash=b"b")], 80, True, None),
        (peer(60, day=None, url_hash=b"b"), [peer(60, day=None, url_hash=b"a")], -1, False, 0),
    ],
)
def test_heat_follows_from_quality_and_links(article, related, heat, published, lead):
    assert heat_of(article, related, count=len(related), rules=RULES) == (heat, published, lead)


def test_the_day_of_an_article_is_in_utc():
    late = Peer(60, datetime(2020, 5, 10, 23, tzinfo=timezone(-timedelta(hours=5))), "A")
    assert lead_of(late, [peer(60, day=10, title="B")]) == 0


def test_an_article_that_names_a_better_one_does_not_lead():
    assert heat_of(peer(60), [peer(50)], count=1, rules=RULES, outranked_by=0) == (-1, False, None)


def test_an_article_of_2019_leads_whatever_its_related_articles_are():
    heat = heat_of(peer(40), [peer(90)], count=2, rules=HeatRules(5, 0, 50), outranked_by=NEVER_OUTRANKED)
    assert heat == (50, True, None)


def test_of_articles_that_list_each_other_exactly_one_leads():
    random = Random(1)
    for _ in range(300):
        story = [
            peer(
                random.choice((60, 61)),
                random.choice((None, 9, 10)),
                random.choice((8, 9)),
                random.choice("AB"),
                bytes([n]),
            )
            for n in range(4)
        ]
        heats = [heat_of(one, story, count=3, rules=RULES) for one in story]
        assert sum(heat.heat != NOT_LEAD for heat in heats) == 1


def test_without_quality_there_is_no_heat():
    assert heat_of(peer(None), [peer(60)], count=1, rules=RULES) is None


def test_repeated_entries_count():
    assert heat_of(peer(60), [peer(1)], count=3, rules=RULES).heat == 120


def test_a_source_may_have_its_own_rules():
    rules = parse_rules("20/50/70, ai=10/50/60")
    assert rules == AllRules(HeatRules(20, 50, 70), {"ai": HeatRules(10, 50, 60)}, configured=True)
    assert (rules.of("ai").bonus, rules.of("other").bonus) == (10, 20)
    assert rules.warns("other")


def test_only_configured_rules_give_warnings_for_a_source():
    assert not parse_rules("").warns("ai")
    assert parse_rules("ai=10/50/60").warns("ai")
    assert not parse_rules("ai=10/50/60").warns("other")


@pytest.mark.parametrize("text", ["20", "a/b/c", "ai=", "20/50"])
def test_invalid_rules_are_refused(text):
    with pytest.raises(ValueError, match="bonus/floor/threshold"):
        parse_rules(text)
