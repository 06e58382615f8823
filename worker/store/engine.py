"""Engines for both databases, with time-outs and pragmas that turn a hang or a lock into an error."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import NullPool

from worker.settings import Settings
from worker.store.sql.driver_errors import drop_values_of
from worker.store.sql.flights import BEGIN_OPTIONS

# The key of the advisory lock of `enter_writer`. Any number is right that no other program uses in this database.
_WRITER_LOCK_KEY = 0x636F7079
WRITER_LOCK = f"SELECT pg_advisory_xact_lock({_WRITER_LOCK_KEY})"
"""The statement that waits for the writer lock and holds it until the transaction ends, on PostgreSQL."""

_TRANSIENT_CLASSES = ("08", "25", "26", "28", "3D", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE: connection (08, also PgBouncer's own errors), transaction state (25), statement name (26),
authorization (28), database name (3D), conflicts (40), resources (53), locks (55), operator intervention (57), system
errors (58).
"""
_TRANSIENT_STATES = frozenset({"42P01", "42703", "42501", "42P05", "0A000"})
"""A table or column does not exist or access is denied: the schema is being upgraded or restored while the worker
runs, and no document is at fault. 42P05: a prepared statement of this name exists, from another client of the same
pooler. 0A000: a column that a prepared statement reads has another type now (`sql/flights.py` opens a new connection).
"""
_TRANSIENT_NAMES = ("OperationalError", "ConnectionTimeout", "InterfaceError", "InternalError", "DatabaseError")
"""psycopg errors without an SQLSTATE: a connection failed, broke, or sent an invalid answer."""
_TRANSIENT_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
                               sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})  # fmt: skip
_SQLITE_DATA_ERRORS = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG})
_SQLITE_CONFLICTS = (
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
)


def make_engine(
    settings: Settings, *, pooled: bool = True, overflow: int = 2, small_cache: bool = False, repeats: bool = False
) -> Engine:
    """Create an engine for `settings.database`. It does not connect yet. Its errors quote no values of rows.

    `pooled`: keep two connections to PostgreSQL open; else each use opens one.
    `overflow`: how many more connections to PostgreSQL may be open at once.
    `small_cache`: SQLite caches 4 MB instead of 16 MB and maps no file, for a process that needs its memory itself.
    `repeats`: for a process that runs the same few statements for hours. PostgreSQL then uses an index wherever there
    is one, even while a table looks small enough for a sequential scan. Its connections are not tested before use (a
    round trip each time): a flight tries again on a new connection (`sql/flights.py`). The statements of flights are
    prepared, unless a pooler answers.
    """
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        if settings.database_url is None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": settings.statement_seconds}, hide_parameters=True)
        _prepare_sqlite(engine, seconds=settings.statement_seconds, small_cache=small_cache)
        return engine
    arguments: dict[str, Any] = {
        "prepare_threshold": None,  # `_connect` below decides
        "autocommit": True,  # `_begin` below sends BEGIN
        "connect_timeout": 3,
        "tcp_user_timeout": int(settings.idle_transaction_seconds * 1000),
        "keepalives_idle": 5,
        "application_name": "copydesk",
    }
    pool: dict[str, Any] = (
        {"pool_size": 2, "max_overflow": overflow, "pool_pre_ping": not repeats} if pooled else {"poolclass": NullPool}
    )
    values = _transaction_settings(settings, repeats=repeats)
    # Flights find few rows by their keys. Before a growing table is analysed the planner reads all of it instead. With
    # these settings the plan of a statement depends on neither the values nor the size of a table, so it is made once.
    plans = dict.fromkeys(("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan"), "off")
    flight_values = {**values, **plans, "plan_cache_mode": "force_generic_plan"}
    begin = ["BEGIN", f"SELECT {', '.join(_set_config(name, value) for name, value in flight_values.items())}"]
    engine = create_engine(
        url, connect_args=arguments, execution_options={BEGIN_OPTIONS: begin}, hide_parameters=True, **pool
    )
    event.listen(engine, "handle_error", drop_values_of)
    _prepare_postgresql(engine, values, repeats=repeats)
    return engine


def _set_config(name: str, value: str) -> str:
    bare = value.strip("'")
    return f"set_config('{name}', '{bare}', true)"


def _transaction_settings(settings: Settings, *, repeats: bool) -> dict[str, str]:
    statement = int(settings.statement_seconds * 1000)
    found = {
        "statement_timeout": str(statement),
        # Shorter, so that waiting for a lock ends with the lock's error and not as a slow statement (see `is_timeout`).
        "lock_timeout": str(statement * 9 // 10),
        "idle_in_transaction_session_timeout": str(int(settings.idle_transaction_seconds * 1000)),
        "timezone": "'UTC'",
    }
    return {**found, "enable_seqscan": "off"} if repeats else found


def _has_own_session(connection: Any) -> bool:
    """Return whether no pooler is between a psycopg connection and the server.

    A pooler gives its clients process ids of its own. Raises psycopg's errors.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(row[0] == connection.info.backend_pid)


def _prepare_postgresql(engine: Engine, values: dict[str, str], *, repeats: bool) -> None:
    """Register what runs at the start of each connection and each transaction.

    `values` are set in each transaction, because a pooler drops the options of a connection and shares its sessions.
    """
    from psycopg.types.array import ListBinaryDumper

    from worker.store.sql.arrays import register

    local = "; ".join(f"SET LOCAL {name} = {value}" for name, value in values.items())

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        # The text format escapes quotes with one call an element: half the client's CPU for a batch.
        connection.adapters.register_dumper(list, ListBinaryDumper)
        register(connection)
        # A named prepared statement belongs to a session. Behind a pooler the next transaction may use another session,
        # where a statement of that name may belong to another client. So none is named there.
        if repeats and _has_own_session(connection):
            connection.prepare_threshold = sys.maxsize  # only those statements that ask for it

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The settings are in one message with BEGIN, so they cost no round trip. A connection with its own isolation
        # level is not in autocommit mode: there psycopg sends BEGIN.
        is_autocommit = connection.connection.driver_connection.autocommit  # type: ignore[union-attr]  # psycopg's
        connection.exec_driver_sql(f"BEGIN; {local}" if is_autocommit else local)


def _use_wal(cursor: sqlite3.Cursor, seconds: float) -> None:
    """Set the journal to WAL. SQLite waits for no other process that sets it on the same new file: try for `seconds`."""
    until = time.monotonic() + seconds
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _prepare_sqlite(engine: Engine, *, seconds: float, small_cache: bool) -> None:
    cache, mapped = ("cache_size=-4096", "mmap_size=0") if small_cache else ("cache_size=-16384", "mmap_size=16777216")

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # `_begin` below sends BEGIN, so that a writer takes its lock at once
        cursor = connection.cursor()
        _use_wal(cursor, seconds)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY", cache, mapped):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        # For lists of hashes, see `sql/statements.py`. SQLite's own `unhex` came with 3.41.
        connection.create_function("from_hex", 1, bytes.fromhex, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("copydesk_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def writer(engine: Engine) -> Connection:
    """Return a connection for transactions that write.

    On SQLite such a transaction takes the write lock at its beginning; on PostgreSQL call `enter_writer` for the lock.
    """
    return engine.connect().execution_options(copydesk_writes=True)


def enter_writer(connection: Connection) -> None:
    """Wait for the writer lock and hold it until the transaction ends.

    The decisions of a batch depend on rows of other batches (documents of an article, claims of an alias, mentions of
    a stub), also on rows that do not exist yet, which no row lock covers. So one transaction at a time writes.
    Reading, parsing and enriching continue in parallel. SQLite has this lock by itself (`BEGIN IMMEDIATE`).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(WRITER_LOCK))


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a writing transaction for an operator's action.

    On SQLite it waits for the write lock as long as a worker does. Whatever the busy timeout, SQLite fails at once
    ("database is locked") if a transaction that began with a read writes while another process writes. So the
    transaction takes the lock at its beginning. On PostgreSQL row locks are enough, and the writer lock must not be
    taken: the transaction could wait for a batch that has written equal raw bytes and waits for the writer lock,
    which is a deadlock.
    """
    with writer(engine) as connection, connection.begin():
        yield connection


def without_statement_timeout(connection: Connection) -> None:
    """Remove the statement time-out of this transaction, for checks and upgrades that scan whole tables.

    The lock time-out stays.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's error inside a SQLAlchemy error, without statement and parameters; else `error` itself."""
    return getattr(error, "orig", None) or error


def is_transient(error: BaseException) -> bool:
    """Return whether a retry can succeed.

    SQLSTATE (or SQLite's code) decides; psycopg errors without one go by their name.
    """
    original = driver_error(error)
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return code is not None and (code & 0xFF) in _TRANSIENT_SQLITE
    state = getattr(original, "sqlstate", None)
    if state:
        return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES
    return type(original).__module__.startswith("psycopg") and type(original).__name__ in _TRANSIENT_NAMES


def is_locked(error: BaseException) -> bool:
    """Return whether waiting for a lock timed out."""
    original = driver_error(error)
    if isinstance(original, sqlite3.Error):
        code: int | None = getattr(original, "sqlite_errorcode", None)
        return code is not None and (code & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(original, "sqlstate", None) == "55P03"


def is_conflict(error: BaseException) -> bool:
    """Return whether it is a violation of a unique or foreign key: another writer was faster, so retry."""
    original = driver_error(error)
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorcode", None) in _SQLITE_CONFLICTS
    return getattr(original, "sqlstate", None) in ("23505", "23503")


def is_data_error(error: BaseException) -> bool:
    """Return whether the values of a row are at fault: too long, too large, or not allowed in this place.

    The drivers raise OverflowError and ValueError for values that they cannot send.
    """
    original = driver_error(error)
    if isinstance(original, OverflowError | ValueError):
        return True
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        if code is None:  # raised by the driver itself
            return isinstance(original, sqlite3.DataError | sqlite3.InterfaceError | sqlite3.ProgrammingError)
        return (code & 0xFF) in _SQLITE_DATA_ERRORS
    state = getattr(original, "sqlstate", None)
    return state[:2] in ("22", "23", "54") if state else type(original).__name__ in ("DataError", "ProgrammingError")


def is_timeout(error: BaseException) -> bool:
    """Return whether a statement or an idle transaction timed out on PostgreSQL. A smaller batch may succeed."""
    original = driver_error(error)
    return getattr(original, "sqlstate", None) in ("57014", "25P03")
