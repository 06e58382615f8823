"""A transaction whose statements travel together: errors, rollback and closed connections on both databases."""

from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from worker.heat_rules import AllRules
from worker.settings import Settings
from worker.store.background.steps import work_step
from worker.store.engine import WRITER_LOCK, is_conflict, is_timeout, is_transient, make_engine
from worker.store.sql.flights import flights
from worker.store.sql.query import Query
from worker.store.sql.statements import Statement, insertion, removal, updating
from worker.store.tables import lanes

NAMES = ("name", "highest")


class _Lane(NamedTuple):
    name: str
    highest: str


class _Nothing(NamedTuple):
    nothing: str


LANES = Query(
    _Lane,
    "SELECT name, highest FROM lanes WHERE name {in names} ORDER BY name",
    {"names": (lanes.c.name,)},
)
OTHERS = Query(
    _Lane, "WITH w(name) AS ({table names}) SELECT w.name, l.highest FROM w JOIN lanes l ON l.name {not in names}"
    " ORDER BY w.name LIMIT {limit most}", {"names": (lanes.c.name,)},
)  # fmt: skip


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path, statement_seconds=1)
    engine = make_engine(config, repeats=True)
    yield engine
    engine.dispose()


def stored(engine):
    with engine.connect() as connection:
        return dict(connection.execute(select(lanes.c.name, lanes.c.highest)).all())


def put(engine, *rows):
    with flights(engine, locks=WRITER_LOCK) as transaction:
        transaction.execute(insertion(engine.dialect.name, lanes, NAMES, rows))
        transaction.commit()


def test_queued_statements_are_executed_in_their_order(engine):
    dialect = engine.dialect.name
    put(engine, ("a", "1"), ("b", "1"))
    with flights(engine, locks=WRITER_LOCK) as transaction:
        before = transaction.fetch(LANES, {"names": ["a", "b", "c"]})
        transaction.execute(updating(dialect, lanes, NAMES, ("name",), [("a", "2")]))
        transaction.execute(removal(dialect, lanes, ("name",), [("b",)]))
        after = transaction.fetch(LANES, {"names": ["a", "b", "c"]})
        others = transaction.fetch(OTHERS, {"names": ["x", "y"], "most": 1})
        nothing = transaction.fetch(LANES, {"names": []})
        transaction.commit()
    assert before.rows == [("a", "1"), ("b", "1")]
    assert after.rows == [("a", "2")]
    assert others.rows == [("x", "2")]
    assert nothing.rows == []
    assert stored(engine) == {"a": "2"}


def test_without_a_commit_nothing_is_stored(engine):
    with flights(engine, locks=WRITER_LOCK) as transaction:
        transaction.execute(insertion(engine.dialect.name, lanes, NAMES, [("a", "1")]))
        transaction.send()
    assert stored(engine) == {}


def test_an_error_is_raised_as_sqlalchemy_does_and_nothing_is_stored(engine):
    put(engine, ("a", "1"))
    with pytest.raises(SQLAlchemyError) as caught:
        put(engine, ("b", "1"), ("a", "1"))
    assert is_conflict(caught.value)
    assert stored(engine) == {"a": "1"}
    put(engine, ("b", "1"))
    assert stored(engine) == {"a": "1", "b": "1"}


def test_the_error_of_a_flight_shows_no_values(engine):
    put(engine, ("secret body", "1"))
    with pytest.raises(SQLAlchemyError) as caught:
        put(engine, ("secret body", "1"))
    if engine.dialect.name == "postgresql":
        assert "INSERT" not in str(caught.value)


@pytest.fixture
def server(migrated_postgres_url, tmp_path):
    """An engine on PostgreSQL."""
    config = Settings(database_url=migrated_postgres_url, data_dir=tmp_path, statement_seconds=1)
    engine = make_engine(config, repeats=True)
    yield engine
    engine.dispose()


def test_a_statement_that_takes_too_long_is_a_timeout(server):
    def sleep():
        with flights(server) as transaction:
            transaction.execute(Statement("SELECT pg_sleep(30)", None))
            transaction.commit()

    with pytest.raises(SQLAlchemyError) as caught:
        sleep()
    assert is_timeout(caught.value)


def _end_connections(url):
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def test_a_first_flight_on_a_connection_that_the_server_closed_is_sent_again(server, migrated_postgres_url):
    with flights(server), flights(server), flights(server):
        pass  # the pool has connections now
    put(server, ("a", "1"))
    _end_connections(migrated_postgres_url)
    put(server, ("b", "1"))
    assert stored(server) == {"a": "1", "b": "1"}


def test_a_later_flight_is_not_sent_again(server, migrated_postgres_url):
    def write():
        with flights(server, locks=WRITER_LOCK) as transaction:
            transaction.execute(insertion("postgresql", lanes, NAMES, [("a", "1")]))
            transaction.send()
            _end_connections(migrated_postgres_url)
            transaction.execute(insertion("postgresql", lanes, NAMES, [("b", "1")]))
            transaction.commit()

    with pytest.raises(SQLAlchemyError):
        write()
    assert stored(server) == {}


def _send_without_waiting(engine, *rows, error=None):
    with flights(engine, locks=WRITER_LOCK) as transaction:
        transaction.fetch(LANES, {"names": ["a"]})
        transaction.send()
        for row in rows:
            transaction.execute(insertion(engine.dialect.name, lanes, NAMES, [row]))
        if error is not None:
            raise error
        transaction.commit()


def test_the_error_of_a_statement_that_nobody_waited_for_is_raised_by_the_commit_or_before(engine):
    put(engine, ("a", "1"))
    with pytest.raises(SQLAlchemyError) as raised:
        _send_without_waiting(engine, ("a", "2"), ("b", "2"))
    assert is_conflict(raised.value)
    put(engine, ("c", "1"))
    assert stored(engine) == {"a": "1", "c": "1"}


def test_leaving_without_a_commit_rolls_back_what_nobody_waited_for(engine):
    with pytest.raises(LookupError):
        _send_without_waiting(engine, ("a", "1"), error=LookupError())
    put(engine, ("b", "1"))
    assert stored(engine) == {"b": "1"}


PREPARED = Query(
    _Nothing,
    "SELECT statement FROM pg_prepared_statements WHERE position('INSERT INTO \"lanes\"' IN statement) = 1",
)


def _prepared(engine):
    with flights(engine) as transaction:
        found = transaction.fetch(PREPARED, {})
        transaction.commit()
    return len(found.rows)


def test_a_statement_is_prepared_once_on_a_connection(server):
    for name in ("a", "b", "c"):
        put(server, (name, "1"))
    assert _prepared(server) == 1


def test_statements_stay_prepared_after_a_step_without_work(server):
    put(server, ("a", "1"))
    assert work_step(server, AllRules()) is None
    assert _prepared(server) == 1


def test_an_engine_of_a_command_prepares_nothing(migrated_postgres_url, tmp_path):
    engine = make_engine(Settings(database_url=migrated_postgres_url, data_dir=tmp_path))
    put(engine, ("a", "1"))
    assert _prepared(engine) == 0
    engine.dispose()


def _change_type(url, type_):
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"ALTER TABLE lanes ALTER COLUMN highest TYPE {type_}")


def _highest(engine, *, first=()):
    with flights(engine) as transaction:
        for statement in first:
            transaction.execute(statement)
            transaction.send()
        found = transaction.fetch(LANES, {"names": ["a"]})
        transaction.commit()
    return found.rows[0].highest


def test_a_column_may_change_its_type_between_two_flights(server, migrated_postgres_url):
    put(server, ("a", "1"))
    assert _highest(server) == "1"
    _change_type(migrated_postgres_url, "bigint USING highest::bigint")
    assert _highest(server) == 1
    _change_type(migrated_postgres_url, "varchar")


def test_a_column_that_changes_its_type_within_a_transaction_is_an_error_that_a_retry_mends(
    server, migrated_postgres_url
):
    put(server, ("a", "1"))
    assert _highest(server) == "1"
    _change_type(migrated_postgres_url, "bigint USING highest::bigint")
    with pytest.raises(SQLAlchemyError) as caught:
        _highest(server, first=[Statement("SELECT 1", None)])
    assert is_transient(caught.value)
    assert _highest(server, first=[Statement("SELECT 1", None)]) == 1
    _change_type(migrated_postgres_url, "varchar")
