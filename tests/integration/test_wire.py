"""The wire counts what a client waits for, and delays it precisely; otherwise measurements through it prove nothing."""

import statistics
import time

import psycopg
import pytest

from tests.support.wire import COUNTING_DELAY_SECONDS, Wire, delayed

_MOST_MS = 6.2


@pytest.fixture
def wire(postgres_url):
    with Wire(postgres_url, delay_seconds=COUNTING_DELAY_SECONDS) as wire:
        yield wire


@pytest.fixture
def connection(wire):
    with psycopg.connect(wire.url, autocommit=True, prepare_threshold=None) as connection:
        wire.round_trips(clear=True)
        yield connection


def test_each_statement_that_is_awaited_is_a_round_trip(wire, connection):
    for number in range(3):
        assert connection.execute("SELECT %s::int", (number,)).fetchone() == (number,)
    assert [trip.statements for trip in wire.round_trips()] == [["SELECT $1::int"]] * 3


def test_a_pipeline_is_one_round_trip(wire, connection):
    with connection.pipeline():
        results = [connection.execute("SELECT %s::int", (number,)) for number in range(10)]
    assert [result.fetchone() for result in results] == [(number,) for number in range(10)]
    assert [len(trip.statements) for trip in wire.round_trips()] == [10]


def test_large_statements_and_answers_are_one_round_trip_each(wire, connection):
    text = "x" * 3_000_000
    assert connection.execute("SELECT %s::text || 'y'", (text,)).fetchone() == (text + "y",)
    assert len(wire.round_trips()) == 1
    assert wire.round_trips()[0].bytes_sent > 3_000_000


def test_round_trips_under_the_lock_are_told_from_others(wire, connection):
    connection.execute("SELECT 1")
    connection.execute("BEGIN")
    with connection.pipeline():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (5,))
        connection.execute("SELECT 2")
    connection.execute("SELECT 3")
    connection.execute("COMMIT")
    connection.execute("SELECT 4")
    assert [trip.locked for trip in wire.round_trips()] == [False, False, True, True, True, False]


def test_connections_are_told_apart(wire, connection):
    with psycopg.connect(wire.url, autocommit=True) as other:
        other.execute("SELECT 1")
        connection.execute("SELECT 2")
    assert len({trip.connection for trip in wire.round_trips() if trip.statements}) == 2


def test_nothing_is_lost_when_both_sides_send_much(wire, connection):
    wire.delay_seconds = 0.001
    connection.execute("CREATE TABLE words (word text)")
    with connection.cursor() as cursor, cursor.copy("COPY words FROM STDIN") as copy:
        for number in range(100_000):
            copy.write_row((f"word {number}",))
    with connection.pipeline():
        results = [connection.execute("SELECT word FROM words") for _ in range(5)]
    assert [len(result.fetchall()) for result in results] == [100_000] * 5


@pytest.mark.long
def test_a_delay_of_five_milliseconds_is_one_of_five_milliseconds(postgres_url):
    """The quickest tenth: on a busy machine the client itself waits for a core, which is not the wire's delay."""
    with delayed(postgres_url, milliseconds=5) as url, psycopg.connect(url, autocommit=True) as connection:
        tenth = statistics.quantiles((_milliseconds(connection) for _ in range(1000)), n=10)[0]
    print("milliseconds", tenth)
    assert 5.0 <= tenth <= _MOST_MS


def _milliseconds(connection):
    began = time.perf_counter()
    connection.execute("SELECT 1").fetchone()
    return (time.perf_counter() - began) * 1000
