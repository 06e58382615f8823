"""Receipts are rolled up by source, site and hour; silent, poor and failing sources raise alarms that end by themselves."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from tests.support.databases import SQLITE_BY_DEFAULT
from worker.monitoring.sources.roll_up import roll_up_sources
from worker.monitoring.sources.standstills import note_work, read_standstills
from worker.monitoring.sources.stored_alarms import read_source_alarms
from worker.settings import INTERNAL_LANE, Settings
from worker.store.sources import source_alarms as source_alarms_of
from worker.store.sources import source_hours
from worker.store.sources.past_silences import add_past_silences, read_past_silences
from worker.store.sources.source_alarms import read_rhythms
from worker.store.sources.source_hours import EVERYTHING
from worker.store.tables import articles, providers, receipts, source_alarms, source_rhythms, standstills
from worker.store.tables import source_hours as hours_table

NOW = datetime.now(UTC).replace(microsecond=0)
AGO = timedelta(minutes=10)
_SERIAL = iter(range(1_000_000))


def receipt(at, source="crawler", outcome="stored", *, article=None, lane="documents", settled=None):
    return {
        "lane": lane, "id": f"{next(_SERIAL)}-0", "outcome": outcome, "op": "put", "source": source, "problems": [], "changed": [],
        "received_at": at, "settled_at": settled or at, "worker": "w", "attempts": 1, "timings": {}, "article_id": article,
    }  # fmt: skip


def add(engine, rows):
    with engine.begin() as connection:
        connection.execute(insert(receipts), list(rows))


def site(engine, number, domain):
    """Store an article of a provider; return its id."""
    with engine.begin() as connection:
        connection.execute(insert(providers).values(id=number, domain=domain, other_names=[]))
        connection.execute(insert(articles).values(
            id=number, url_hash=number.to_bytes(16, "big"), provider_id=number, is_stub=False, extra={}, revision="1",
            link_state="linked", first_seen_at=NOW, changed_at=NOW,
        ))  # fmt: skip
    return number


def every(gap, days, *, end=NOW - AGO, **fields):
    count = int(timedelta(days=days) / gap)
    return [receipt(end - gap * n, **fields) for n in range(count)]


def later(engine):
    """Return a time that the next roll-up counts."""
    with engine.connect() as connection:
        return source_hours.rolled_up_until(connection) + timedelta(microseconds=1)


def alarms(engine):
    with engine.connect() as connection:
        return {(alarm.kind, alarm.source, alarm.site): alarm for alarm in read_source_alarms(connection)}


def roll_up(engine, waiting=None, **values):
    assert roll_up_sources(engine, Settings(**values), waiting, seconds=60)


def counted(engine, source="crawler", site=""):
    with engine.connect() as connection:
        rows = source_hours.hours_of(connection, (source, site), limit=10_000)
    return sum(row.documents for row in rows), sum(row.rejected for row in rows)


def test_every_receipt_counts_once_however_often_it_is_rolled_up(engine, monkeypatch):
    monkeypatch.setattr(source_hours, "_MOST_RECEIPTS", 70)
    chance = random.Random(1)
    rows = [receipt(NOW - AGO - timedelta(seconds=chance.randrange(400_000)), outcome=chance.choice(["stored", "rejected"]))
            for _ in range(500)]  # fmt: skip
    add(engine, rows)
    add(engine, [receipt(NOW - AGO, lane=INTERNAL_LANE)])
    for _ in range(3):
        roll_up(engine)
        add(engine, [receipt(NOW, settled=later(engine))])
    roll_up(engine)
    bad = sum(row["outcome"] == "rejected" for row in rows)
    assert counted(engine) == (503, bad)


def test_every_receipt_counts_once_although_the_clock_of_redis_is_behind(engine):
    behind = timedelta(seconds=100)
    for _ in range(2):
        now = datetime.now(UTC)
        add(engine, [receipt(now - behind)])  # settled now
        assert roll_up_sources(engine, Settings(), redis_time=now - behind, seconds=60)
    roll_up(engine)
    assert counted(engine) == (2, 0)


def test_a_document_counts_in_the_hour_of_its_arrival(engine):
    arrived = NOW.replace(minute=30, second=0) - timedelta(hours=30)
    add(engine, [receipt(arrived, settled=NOW - AGO), receipt(NOW + timedelta(days=9), settled=NOW - AGO)])
    roll_up(engine)
    with engine.connect() as connection:
        first, last = source_hours.hours_of(connection, ("crawler", ""), limit=9)
    assert (first.at, first.first_at, first.last_at) == (arrived.replace(minute=0), arrived, arrived)
    assert last.last_at == NOW - AGO, "a producer cannot send from the future"


def test_receipts_count_for_the_source_and_for_the_site_of_their_article(engine):
    one, other = site(engine, 1, "one.example"), site(engine, 2, "other.example")
    add(engine, [receipt(NOW - AGO, article=one) for _ in range(3)])
    add(engine, [receipt(NOW - AGO, article=other), receipt(NOW - AGO, outcome="rejected")])
    roll_up(engine)
    assert counted(engine) == (5, 1)
    assert counted(engine, site="one.example") == (3, 0)
    assert counted(engine, site="other.example") == (1, 0)


def test_a_silent_source_is_an_alarm_until_it_is_back(engine):
    silent_since = NOW - timedelta(hours=9)
    add(engine, every(timedelta(minutes=30), 20, end=silent_since))
    add(engine, every(timedelta(minutes=30), 20, source="other"))
    roll_up(engine)
    (alarm,) = alarms(engine).values()
    assert (alarm.kind, alarm.source, alarm.since) == ("silent", "crawler", silent_since.timestamp())
    assert alarm.documents == pytest.approx(18, abs=4)
    sentence = alarm.sentence(NOW.timestamp())
    assert sentence.startswith(f"Source crawler is silent since {silent_since:%Y-%m-%d %H:%M} UTC (9.0 h")
    assert sentence.endswith("copydesk sources --source crawler")

    add(engine, [receipt(NOW, settled=later(engine))])
    roll_up(engine)
    assert alarms(engine) == {}


@SQLITE_BY_DEFAULT
def test_a_source_with_fewer_than_thirty_gaps_raises_nothing(engine):
    add(engine, every(timedelta(hours=1), 1, end=NOW - timedelta(days=20)))
    roll_up(engine)
    assert alarms(engine) == {}


@SQLITE_BY_DEFAULT
def test_a_source_is_not_silent_while_its_documents_wait_on_the_lane(engine):
    add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(hours=9)))
    roll_up(engine, {"documents": (NOW - timedelta(hours=8)).timestamp()})
    assert alarms(engine) == {}
    roll_up(engine, {"another": (NOW - timedelta(hours=8)).timestamp()})
    assert len(alarms(engine)) == 1


@SQLITE_BY_DEFAULT
def test_a_site_that_stopped_is_an_alarm_although_its_source_goes_on(engine):
    one, other = site(engine, 1, "one.example"), site(engine, 2, "other.example")
    add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(hours=9), article=one))
    add(engine, every(timedelta(minutes=30), 20, article=other))
    roll_up(engine)
    assert list(alarms(engine)) == [("silent", "crawler", "one.example")]


@SQLITE_BY_DEFAULT
def test_a_silent_source_is_one_alarm_and_not_one_for_each_site(engine):
    for number in range(1, 4):
        article = site(engine, number, f"s{number}.example")
        add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(hours=9), article=article))
    roll_up(engine)
    assert list(alarms(engine)) == [("silent", "crawler", "")]


@SQLITE_BY_DEFAULT
def test_a_source_that_sends_far_less_is_an_alarm_until_it_sends_more(engine):
    add(engine, every(timedelta(minutes=20), 22, end=NOW - timedelta(days=1)))
    add(engine, every(timedelta(hours=2), 1, end=NOW - timedelta(hours=1)))
    roll_up(engine)
    (alarm,) = alarms(engine).values()
    assert alarm.kind == "low"
    assert alarm.expected == pytest.approx(72, abs=4)
    assert alarm.documents < 20
    assert "sends far less than it should" in alarm.sentence(NOW.timestamp())

    settled = later(engine)
    add(engine, [receipt(NOW - timedelta(minutes=10 * n), settled=settled) for n in range(120)])
    roll_up(engine)
    with engine.begin() as connection:  # as if an hour had passed
        connection.execute(update(source_rhythms).values(learnt_hour=None))
    roll_up(engine)
    assert alarms(engine) == {}


def test_one_of_eleven_sources_with_all_documents_rejected_is_an_alarm_until_it_is_good_again(engine):
    for number in range(10):
        add(engine, every(timedelta(seconds=5), 0.02, source=f"good{number}"))
    add(
        engine,
        every(timedelta(seconds=1), 2000 / 86_400, source="bad", outcome="rejected", end=NOW - timedelta(hours=5)),
    )
    roll_up(engine)
    (alarm,) = alarms(engine).values()
    assert (alarm.kind, alarm.source, alarm.documents, alarm.rejected) == ("rejected", "bad", 2000, 2000)

    settled = later(engine)
    add(engine, [receipt(settled, source="bad") for _ in range(60)])
    roll_up(engine)
    assert alarms(engine) == {}


@SQLITE_BY_DEFAULT
@pytest.mark.parametrize(
    ("share", "documents", "good_before"),
    [(1.0, 6, 0), (0.5, 12, 2000), (0.15, 100, 2000), *(
        pytest.param(*values, marks=pytest.mark.long) for values in ((1.0, 6, 2000), (0.5, 12, 0), (0.3, 200, 0), (0.3, 60, 2000))
    )],
)  # fmt: skip
def test_a_source_is_named_whatever_its_share_and_its_past_and_until_it_is_good(engine, share, documents, good_before):
    """Each roll-up sees one document or a few, as of a small source."""
    if good_before:
        add(engine, every(timedelta(minutes=20), good_before / 72, end=NOW - timedelta(hours=1), source="bad"))
    add(engine, every(timedelta(minutes=30), 20, source="good"))
    roll_up(engine)
    size = max(1, documents // 20)
    bad = [int(share * number) < int(share * (number + 1)) for number in range(documents)]
    for start in range(0, documents, size):
        part = bad[start : start + size]
        settled = later(engine)
        add(engine, [receipt(NOW, "bad", "rejected" if is_bad else "stored", settled=settled) for is_bad in part])
        roll_up(engine)
    assert alarms(engine).keys() == {("rejected", "bad", "")}
    for _ in range(3):
        add(engine, [receipt(NOW, "bad", settled=later(engine)) for _ in range(25)])
        roll_up(engine)
    assert alarms(engine) == {}


@SQLITE_BY_DEFAULT
def test_a_share_below_the_setting_is_an_alarm_where_it_is_unusual(engine):
    add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(hours=2)))
    recent = NOW - timedelta(hours=1)
    add(engine, [receipt(recent, outcome="rejected" if n % 8 == 0 else "stored") for n in range(400)])
    roll_up(engine)  # learns the usual share
    add(engine, [receipt(recent, outcome="rejected" if n % 8 == 0 else "stored",
                         settled=later(engine)) for n in range(400)])  # fmt: skip
    roll_up(engine)
    (alarm,) = alarms(engine).values()
    assert (alarm.kind, alarm.rejected, alarm.usual_share) == ("rejected", 50, 0.0)


def test_a_source_that_never_comes_back_is_forgotten_after_a_month(engine):
    add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(days=40)))
    roll_up(engine)
    assert len(alarms(engine)) == 1
    with engine.begin() as connection:
        connection.execute(update(source_alarms).values(raised_at=NOW - timedelta(days=31)))
    roll_up(engine)
    roll_up(engine)
    assert alarms(engine) == {}

    settled = later(engine)
    add(engine, [receipt(settled)])
    roll_up(engine)
    with engine.connect() as connection:
        (rhythm,) = read_rhythms(connection)
    assert rhythm.silent_at is not None, "it is expected again"


def test_nothing_stays_of_a_source_that_was_not_heard_for_more_than_a_year(engine):
    add(engine, every(timedelta(hours=1), 2, end=NOW - timedelta(days=500)))
    with engine.begin() as connection:
        add_past_silences(connection, [(("crawler", ""), NOW - timedelta(days=501), NOW - timedelta(days=500))])
    for _ in range(4):
        roll_up(engine)
    with engine.connect() as connection:
        assert connection.execute(select(hours_table)).all() == []
        assert connection.execute(select(source_rhythms)).all() == []
        assert read_past_silences(connection, ("crawler", "")) == []


def test_an_empty_store_has_no_alarms(engine):
    roll_up(engine)
    assert alarms(engine) == {}
    with engine.begin() as connection:
        connection.execute(delete(receipts))
    roll_up(engine)


def stood_still(engine, began, ended):
    """Note that workers worked until `began`, and again from `ended` on."""
    with engine.begin() as connection:
        note_work(connection, began)
        note_work(connection, ended)


@SQLITE_BY_DEFAULT
def test_no_source_is_silent_because_copydesk_stood_still(engine):
    began = NOW - timedelta(hours=9)
    add(engine, every(timedelta(minutes=30), 20, end=began))
    add(engine, every(timedelta(minutes=30), 20, source="really silent", end=began - timedelta(hours=9)))
    with engine.begin() as connection:
        note_work(connection, began)
    roll_up(engine)
    assert {key[1] for key in alarms(engine)} == {"really silent"}, "this roll-up is the first work after nine hours"
    with engine.connect() as connection:
        ((since, until),) = read_standstills(connection)
    assert since == began.timestamp()
    assert until == pytest.approx(datetime.now(UTC).timestamp(), abs=60)


@SQLITE_BY_DEFAULT
def test_a_source_that_stays_silent_after_a_standstill_is_an_alarm_after_its_usual_time(engine):
    add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(hours=30)))
    stood_still(engine, NOW - timedelta(hours=30), NOW - timedelta(hours=9))
    with engine.begin() as connection:
        note_work(connection, NOW)
        connection.execute(delete(standstills).where(standstills.c.ended == NOW))  # since then it worked
    roll_up(engine)
    (alarm,) = alarms(engine).values()
    assert (alarm.kind, alarm.documents) == ("silent", pytest.approx(18, abs=4)), "expected in the nine hours of work"


@SQLITE_BY_DEFAULT
def test_roll_ups_that_follow_each_other_are_no_standstill(engine):
    with engine.begin() as connection:
        now = datetime.now(UTC)  # `NOW` may be long ago: it is when the tests were collected
        for minutes in (30, 21, 12, 3):
            note_work(connection, now - timedelta(minutes=minutes))
    roll_up(engine)
    with engine.connect() as connection:
        assert read_standstills(connection) == []


NAMES = ("one", "two", "three", "four")


@SQLITE_BY_DEFAULT
def test_a_crawler_that_stops_is_one_alarm_and_none_of_each_source(engine):
    stopped = NOW - timedelta(hours=9)
    for source in NAMES:
        add(engine, every(timedelta(minutes=30), 20, end=stopped, source=source))
    add(engine, every(timedelta(minutes=30), 20, end=stopped - timedelta(hours=30), source="earlier"))
    roll_up(engine)
    found = alarms(engine)
    assert found.keys() == {("silent", "*", "*"), ("silent", "earlier", "")}
    sentence = found["silent", "*", "*"].sentence(NOW.timestamp())
    assert sentence.startswith(f"Nothing comes from any source since {stopped:%Y-%m-%d %H:%M} UTC (9.0 h")
    assert sentence.endswith("was 30 min: copydesk sources"), sentence


@SQLITE_BY_DEFAULT
def test_after_a_stop_of_the_crawler_each_source_has_its_usual_time_to_come_back(engine):
    stopped = NOW - timedelta(hours=9)
    for source in NAMES:
        add(engine, every(timedelta(minutes=30), 20, end=stopped, source=source))
    roll_up(engine)
    add(engine, [receipt(NOW, source="one", settled=later(engine))])
    for _ in range(3):
        roll_up(engine)
        assert alarms(engine) == {}


@SQLITE_BY_DEFAULT
def test_a_silence_of_all_replaces_the_alarms_that_it_has_caused(engine):
    stopped = NOW - timedelta(hours=9)
    for source in NAMES:
        add(engine, every(timedelta(minutes=30), 20, end=stopped - timedelta(hours=1), source=source))
    add(engine, every(timedelta(hours=5), 20, end=stopped, source="rare"))
    roll_up(engine)
    with engine.begin() as connection:
        source_alarms_of.raise_alarm(
            connection, ("one", ""), "silent", stopped - timedelta(hours=1), NOW - timedelta(hours=3), {}
        )
        source_alarms_of.end_alarm(connection, EVERYTHING, "silent")
    roll_up(engine)
    assert ("silent", "one", "") not in alarms(engine)
    assert ("silent", "*", "*") in alarms(engine)


@SQLITE_BY_DEFAULT
def test_of_two_sources_each_has_its_own_alarm(engine):
    for source in NAMES[:2]:
        add(engine, every(timedelta(minutes=30), 20, end=NOW - timedelta(hours=9), source=source))
    roll_up(engine)
    assert alarms(engine).keys() == {("silent", "one", ""), ("silent", "two", "")}


def ended_alarms(engine, pair):
    with engine.connect() as connection:
        return read_past_silences(connection, pair)


def test_an_alarm_that_ended_is_kept_and_the_next_one_waits_for_a_month(engine):
    silent_since = NOW - timedelta(hours=9)
    add(engine, every(timedelta(minutes=30), 20, end=silent_since))
    roll_up(engine)
    assert ended_alarms(engine, ("crawler", "")) == []
    back = NOW - timedelta(hours=7)
    add(engine, [receipt(back, settled=later(engine))])
    roll_up(engine)
    roll_up(engine)
    assert ended_alarms(engine, ("crawler", "")) == [(silent_since, back)]
    assert alarms(engine) == {}, "although it was silent for seven hours again"
    with engine.connect() as connection:
        (rhythm,) = read_rhythms(connection)
    assert rhythm.known_since < silent_since - timedelta(days=19)
    assert rhythm.silent_at > NOW, "it is not yet"


@SQLITE_BY_DEFAULT
def test_a_source_that_is_known_for_months_has_its_next_alarm_at_the_deadline(engine):
    add(engine, every(timedelta(hours=2), 100, end=NOW - timedelta(hours=19)))
    roll_up(engine)
    assert len(alarms(engine)) == 1
    add(engine, [receipt(NOW - timedelta(hours=8), settled=later(engine))])
    roll_up(engine)
    assert len(ended_alarms(engine, ("crawler", ""))) == 1
    assert len(alarms(engine)) == 1, "a second one in three months"


def test_silences_of_all_sources_are_kept_and_do_not_delay_the_next_one(engine):
    stopped = NOW - timedelta(hours=9)
    for source in NAMES:
        add(engine, every(timedelta(minutes=30), 20, end=stopped, source=source))
    roll_up(engine)
    add(engine, [receipt(NOW - timedelta(hours=7), source="one", settled=later(engine))])
    roll_up(engine)
    assert [began for began, _ in ended_alarms(engine, EVERYTHING)] == [stopped]
    assert ended_alarms(engine, ("one", "")) == [], "it had no alarm of its own"
    roll_up(engine)
    assert alarms(engine).keys() == {("silent", "*", "*")}


def test_a_rare_source_keeps_its_past_for_as_long_as_it_sends(engine):
    add(engine, every(timedelta(days=20), 800, end=NOW - timedelta(days=1)))
    for _ in range(3):
        roll_up(engine)
    with engine.connect() as connection:
        (rhythm,) = read_rhythms(connection)
        assert rhythm.gaps == 39
        assert len(connection.execute(select(hours_table).where(hours_table.c.source == "crawler")).all()) == 40
