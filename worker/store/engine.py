"""Engines for both databases, with the time-outs and pragmas under which a hang or a lock is noticed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import NullPool

from worker.settings import Settings

# One writer at a time (see `writer`): any number does, it must only be ours.
_WRITER_LOCK = 0x636F7079

_TRANSIENT_CLASSES = ("08", "25", "26", "28", "3D", "40", "53", "55", "57", "58")
"""Connections (08, also whatever PgBouncer itself answers), the state of a transaction, a statement's name, who may enter,
which database, conflicts, resources, locks, the operator's doing, the system below."""
_TRANSIENT_STATES = frozenset({"42P01", "42703", "42501", "42P05"})
"""A table or column that is not there or may not be used: the schema is being upgraded or restored under a running worker,
and no document's fault. 42P05: a prepared statement exists already, of another client of the same pooler."""
_TRANSIENT_NAMES = ("OperationalError", "ConnectionTimeout", "InterfaceError", "InternalError", "DatabaseError")
"""Errors of psycopg without a state: a connection that could not be made, or broke, or whose answer made no sense."""
_TRANSIENT_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
                               sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})  # fmt: skip


def make_engine(
    settings: Settings, *, pooled: bool = True, overflow: int = 2, small_cache: bool = False, repeats: bool = False
) -> Engine:
    """An engine for `settings.database`. Nothing is connected yet.

    `overflow`: connections to PostgreSQL at once, beside the two that are kept.
    `lean`: SQLite caches 4 MB instead of 16 and maps no file, for a process that has a use of its own for memory.
    `repeats`: for a process that runs the same few statements for hours: PostgreSQL takes an index wherever there is one, also
    while a table looks small enough to be read whole.
    """
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        if settings.database_url is None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": settings.statement_seconds})
        _prepare_sqlite(engine, small_cache=small_cache)
        return engine
    arguments: dict[str, Any] = {
        # A statement that is prepared under a name belongs to a session. Behind a pooler the next transaction has another
        # session, where a statement of that name may be another client's. So none is named. That costs a batch no measurable time.
        "prepare_threshold": None,
        "autocommit": True,  # `_begin` below sends BEGIN
        "connect_timeout": 3,
        "tcp_user_timeout": int(settings.idle_transaction_seconds * 1000),
        "keepalives_idle": 5,
        "application_name": "copydesk",
    }
    pool: dict[str, Any] = (
        {"pool_size": 2, "max_overflow": overflow, "pool_pre_ping": True} if pooled else {"poolclass": NullPool}
    )
    engine = create_engine(url, connect_args=arguments, **pool)
    _prepare_postgresql(engine, _transaction_settings(settings, repeats=repeats))
    return engine


def _transaction_settings(settings: Settings, *, repeats: bool) -> dict[str, str]:
    statement = int(settings.statement_seconds * 1000)
    found = {
        "statement_timeout": str(statement),
        # Shorter, so that who waits for a lock hears of that, and not of a statement that was too slow (see `is_timeout`).
        "lock_timeout": str(statement * 9 // 10),
        "idle_in_transaction_session_timeout": str(int(settings.idle_transaction_seconds * 1000)),
        "timezone": "'UTC'",
    }
    return {**found, "enable_seqscan": "off"} if repeats else found


def _prepare_postgresql(engine: Engine, values: dict[str, str]) -> None:
    """Register what each connection and each transaction begins with.

    `values` are set by transaction: a pooler does not pass on the options of a connection, and lends the session to others.
    """
    from psycopg.types.array import ListBinaryDumper

    from worker.store.sql.arrays import register

    local = "; ".join(f"SET LOCAL {name} = {value}" for name, value in values.items())

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        # As text every quote in every element is escaped, one call each: half the client's CPU for a batch.
        connection.adapters.register_dumper(list, ListBinaryDumper)
        register(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # In one message with BEGIN, so it costs no round trip. With an isolation level of its own a connection is not in
        # autocommit mode, and psycopg sends BEGIN.
        is_autocommit = connection.connection.driver_connection.autocommit  # type: ignore[union-attr]  # psycopg's
        connection.exec_driver_sql(f"BEGIN; {local}" if is_autocommit else local)


def _prepare_sqlite(engine: Engine, *, small_cache: bool) -> None:
    cache, mapped = ("cache_size=-4096", "mmap_size=0") if small_cache else ("cache_size=-16384", "mmap_size=16777216")

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below, so that a writer takes its lock at once
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY",
                       cache, mapped):  # fmt: skip
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("copydesk_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def writer(engine: Engine) -> Connection:
    """A connection whose transaction is the only one that writes: see `enter_writer`."""
    return engine.connect().execution_options(copydesk_writes=True)


def enter_writer(connection: Connection) -> None:
    """Wait for the turn to write, until the transaction ends.

    What a batch decides depends on rows of other batches (who tells an article, who claims an alias, who names a stub),
    also on rows that are not there yet, which no row lock covers. So writers take turns; reading, parsing and enriching
    go on beside. SQLite does the same by itself (`BEGIN IMMEDIATE`).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction of an operator that writes: on SQLite it waits for the write lock as long as a worker does.

    SQLite refuses at once ("database is locked") when a transaction that began with a read wants to write while another
    process writes, whatever the busy timeout. So it takes the lock at its beginning. PostgreSQL's row locks are enough here.
    Under the lock of `enter_writer` such a transaction could wait for a batch that has written equal raw bytes and waits for
    that lock: a deadlock.
    """
    with writer(engine) as connection, connection.begin():
        yield connection


def without_statement_timeout(connection: Connection) -> None:
    """Let the statements of this transaction take their time: checks and upgrades read whole tables. Locks are waited for as
    briefly as ever.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def driver_error(error: BaseException) -> BaseException:
    """The error of the database's driver inside one of SQLAlchemy, without the statement and its parameters; else `error`."""
    return getattr(error, "orig", None) or error


def is_transient(error: BaseException) -> bool:
    """Whether trying again later can help: decided by SQLSTATE (or SQLite's code), never by the exception's class."""
    original = driver_error(error)
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return code is not None and (code & 0xFF) in _TRANSIENT_SQLITE
    state = getattr(original, "sqlstate", None)
    if state:
        return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES
    return type(original).__module__.startswith("psycopg") and type(original).__name__ in _TRANSIENT_NAMES


def is_locked(error: BaseException) -> bool:
    """Whether others held what was to be written for longer than is waited for."""
    original = driver_error(error)
    if isinstance(original, sqlite3.Error):
        code: int | None = getattr(original, "sqlite_errorcode", None)
        return code is not None and (code & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(original, "sqlstate", None) == "55P03"


def is_conflict(error: BaseException) -> bool:
    """A unique or foreign-key violation: another writer was faster; resolve again."""
    original = driver_error(error)
    return getattr(original, "sqlstate", None) in ("23505", "23503")


def is_timeout(error: BaseException) -> bool:
    """A statement or a transaction took too long for its time-out: a smaller batch may not."""
    original = driver_error(error)
    return getattr(original, "sqlstate", None) in ("57014", "25P03")
