"""Whether an error can be retried is decided by the databases' own codes."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from worker.store.engine import driver_error, is_conflict, is_timeout, is_transient

TRANSIENT = {
    "08006": "connection failure", "08001": "cannot connect", "40001": "serialization failure", "40P01": "deadlock detected",
    "53000": "insufficient resources", "53100": "disk full", "53200": "out of memory", "53300": "too many connections",
    "57014": "statement timeout", "57P01": "admin shutdown", "57P02": "crash shutdown", "57P03": "cannot connect now",
    "55P03": "lock not available", "55006": "object in use", "25006": "read-only transaction",
    "25P03": "idle in transaction timeout", "42P01": "table is being restored", "42703": "column is being added",
    "42501": "rights are being changed", "26000": "no such prepared statement", "42P05": "a prepared statement exists already",
    "08P01": "PgBouncer's own errors, as query_wait_timeout", "28000": "who may enter is being changed",
    "28P01": "a password is being changed", "3D000": "the database is being restored", "25P02": "transaction is aborted",
    "58030": "the server's disk fails", "53400": "a limit of the server's settings",
    "0A000": "a column that a prepared statement reads has another type",
}  # fmt: skip
PERMANENT = {
    "22001": "value too long", "22003": "number out of range", "22021": "bytes that are no UTF-8", "22P02": "text that is no number",
    "22P05": "untranslatable character", "23502": "not null", "23503": "foreign key", "23505": "unique", "23514": "check",
    "42601": "syntax error", "42883": "no such function", "42804": "datatype mismatch",
    "54000": "program limit exceeded (a row too large for its index)", "XX000": "internal error", "XX001": "data corrupted",
}  # fmt: skip
SQLITE = {
    sqlite3.SQLITE_BUSY: True, sqlite3.SQLITE_LOCKED: True, sqlite3.SQLITE_FULL: True, sqlite3.SQLITE_IOERR: True,
    sqlite3.SQLITE_IOERR | 3 << 8: True, sqlite3.SQLITE_BUSY | 2 << 8: True, sqlite3.SQLITE_CANTOPEN: True,
    sqlite3.SQLITE_READONLY: True, sqlite3.SQLITE_CONSTRAINT: False, sqlite3.SQLITE_CONSTRAINT | 8 << 8: False,
    sqlite3.SQLITE_TOOBIG: False, sqlite3.SQLITE_MISMATCH: False, sqlite3.SQLITE_CORRUPT: False, sqlite3.SQLITE_ERROR: False,
}  # fmt: skip
_FOUND = (getattr(kind, "sqlstate", None) for kind in vars(errors).values() if isinstance(kind, type))
ALL = sorted({state for state in _FOUND if isinstance(state, str)})


def wrapped(original: BaseException) -> DBAPIError:
    """Return the error as SQLAlchemy raises it; the original error decides."""
    return DBAPIError("INSERT", {}, original)


def of_state(state: str) -> psycopg.Error:
    return errors.lookup(state)("on purpose")


@pytest.mark.parametrize(
    ("state", "expected"), [*((state, True) for state in TRANSIENT), *((state, False) for state in PERMANENT)]
)
def test_the_sqlstate_decides_whether_an_error_is_transient(state, expected):
    error = of_state(state)
    assert error.sqlstate == state
    assert is_transient(error) is expected
    assert is_transient(wrapped(error)) is expected


@pytest.mark.parametrize(
    ("classes", "expected"), [(("08", "25", "26", "28", "40", "53", "55", "57", "58"), True), (("22", "23"), False)]
)
def test_an_unreachable_server_is_transient_and_a_data_error_is_not(classes, expected):
    states = [state for state in ALL if state.startswith(classes)]
    assert len(states) > 20
    assert {is_transient(of_state(state)) for state in states} == {expected}


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("server closed the connection"), errors.ConnectionTimeout("timed out"),
              psycopg.InterfaceError("the connection is closed"), psycopg.DatabaseError("unexpected answer"),
              psycopg.InternalError("unexpected answer")]
)  # fmt: skip
def test_a_broken_connection_without_a_sqlstate_is_transient(error):
    assert error.sqlstate is None
    assert is_transient(wrapped(error))


@pytest.mark.parametrize("error", [psycopg.DataError("x"), psycopg.ProgrammingError("x"), ValueError("x")])
def test_other_errors_without_a_sqlstate_are_not_transient(error):
    assert not is_transient(error)


@pytest.mark.parametrize(("code", "expected"), SQLITE.items())
def test_sqlites_code_decides_extended_ones_too(code, expected):
    error = sqlite3.OperationalError("on purpose")
    error.sqlite_errorcode = code
    assert is_transient(error) is expected
    assert is_transient(wrapped(error)) is expected


@pytest.mark.parametrize(
    ("state", "conflict", "timeout"), [("23505", True, False), ("23503", True, False), ("23514", False, False),
                                       ("57014", False, True), ("25P03", False, True), ("55P03", False, False)]
)  # fmt: skip
def test_conflicts_are_retried_and_batches_that_took_too_long_are_divided(state, conflict, timeout):
    error = wrapped(of_state(state))
    assert (is_conflict(error), is_timeout(error)) == (conflict, timeout)


@pytest.mark.parametrize(
    ("code", "conflict"), [(sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, True), (sqlite3.SQLITE_CONSTRAINT_UNIQUE, True),
                           (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, True), (sqlite3.SQLITE_CONSTRAINT_CHECK, False),
                           (sqlite3.SQLITE_CONSTRAINT_NOTNULL, False), (sqlite3.SQLITE_BUSY, False)]
)  # fmt: skip
def test_sqlites_violations_of_keys_are_conflicts_too(code, conflict):
    error = sqlite3.IntegrityError("on purpose")
    error.sqlite_errorcode = code
    assert is_conflict(wrapped(error)) is conflict


def test_the_drivers_error_comes_without_the_statement():
    original = of_state("23505")
    assert driver_error(wrapped(original)) is original
    assert driver_error(original) is original
    nothing_inside = DBAPIError("INSERT", {"raw": "a document"}, None)
    assert driver_error(nothing_inside) is nothing_inside
