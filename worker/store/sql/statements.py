"""Read and write many rows in one statement: `unnest` of arrays on PostgreSQL, `executemany` on SQLite.

A batch runs about forty of these statements, so each statement is built once and cached.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Column, Integer, LargeBinary, Row, Select, Table, any_, bindparam, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.store.columns import UtcDateTime
from worker.store.sql.arrays import is_json, kind_of

_MAX_CACHED = 512  # statements; there are about a hundred
_JSON_LISTS = (Integer, LargeBinary)
"""On SQLite values of these types are sent as one parameter, a JSON array. SQLAlchemy renders a list of parameters again at
each call. (Measured: 1.0 instead of 1.6 ms for 300 ids, and 1.2 instead of 2.4 ms for 300 hashes.)"""

AnyRow = Row[*tuple[Any, ...]]
"""A row with any number of columns."""


class Statement(NamedTuple):
    """A statement in the driver's form; on SQLite `values` are those of each row."""

    text: str
    values: Any


def among(connection: Connection, column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition `column IN values`, with one array parameter where the database has arrays."""
    if _has_arrays(connection):
        return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))
    return column.in_(list(values))


def fetch(
    connection: Connection,
    columns: Sequence[Any],
    column: Any,
    values: Iterable[Any],
) -> list[AnyRow]:
    """Return `columns` of the rows whose `column` is among `values`."""
    return fetch_from(connection, _plain(tuple(columns)), column, values)


def fetch_from(connection: Connection, query: Select[Any], column: Any, values: Iterable[Any]) -> list[AnyRow]:
    """Return the rows of `query` whose `column` is among `values`.

    `query` must be a constant of the caller, because its statement is cached by it.
    """
    found: list[AnyRow] = []
    for part in _parts(list(dict.fromkeys(values))):
        if _has_arrays(connection):
            found += connection.execute(_array_query(query, column), {"wanted": kind_of(column).array(part)}).all()
        elif isinstance(column.type, _JSON_LISTS):
            found += connection.execute(_json_query(query, column), {"wanted": _json_list(part)}).all()
        else:
            found += connection.execute(_list_query(query, column), {"wanted": padded(part)}).all()
    return found


def fetch_where(
    connection: Connection, columns: Sequence[Any], column: Any, values: Iterable[Any], *where: Any
) -> list[AnyRow]:
    """Like `fetch`, but only rows for which `where` holds too.

    The statement is not cached: `where` may change at each call.
    """
    found: list[AnyRow] = []
    for part in _parts(list(dict.fromkeys(values))):
        found += connection.execute(select(*columns).where(among(connection, column, part), *where)).all()
    return found


def merge(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    keys: Sequence[str],
    updates: Sequence[str] = (),
) -> None:
    """Insert `rows`, which all have the same columns. If a row with the same `keys` exists, set its columns `updates`.

    Without `updates` an existing row stays as it is.
    """
    if rows:
        sets = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in updates)
        conflict = f"({_quoted(keys)}) {f'DO UPDATE SET {sets}' if sets else 'DO NOTHING'}"
        names = tuple(rows[0])
        execute(connection, insertion(connection.dialect.name, table, names, _tuples(rows, names), conflict))


def set_values(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], key: str) -> None:
    """Update the row that each of `rows` identifies by `key` with its other values.

    All `rows` have the same columns.
    """
    if rows:
        names = tuple(rows[0])
        execute(connection, updating(connection.dialect.name, table, names, (key,), _tuples(rows, names)))


def execute(connection: Connection, statement: Statement) -> None:
    """Execute a statement that was built here."""
    connection.exec_driver_sql(statement.text, statement.values)


def _tuples(rows: Sequence[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def _has_arrays(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def insertion(
    dialect: str, table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]], conflict: str = ""
) -> Statement:
    """Return the statement that inserts `rows`. `conflict`: what follows `ON CONFLICT`."""
    if dialect == "postgresql":
        text = _postgres_insert(table, names)
        return Statement(f"{text} ON CONFLICT {conflict}" if conflict else text, _arrays(table, names, rows))
    text = _sqlite_insert(table, names)
    return Statement(f"{text} ON CONFLICT {conflict}" if conflict else text, _converted(table, names, rows))


def updating(
    dialect: str, table: Table, names: tuple[str, ...], keys: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> Statement:
    """Return the statement that updates the rows which the columns `keys` identify with the other columns `names`."""
    if dialect == "postgresql":
        return Statement(_postgres_update(table, names, keys), _arrays(table, names, rows))
    ordered = (*(name for name in names if name not in keys), *keys)
    places = [names.index(name) for name in ordered]
    turned = [tuple(row[place] for place in places) for row in rows]
    return Statement(_sqlite_update(table, ordered, len(keys)), _converted(table, ordered, turned))


def removal(dialect: str, table: Table, keys: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Statement:
    """Return the statement that deletes the rows with these keys."""
    if dialect == "postgresql":
        return Statement(_postgres_remove(table, keys), _arrays(table, keys, rows))
    return Statement(_sqlite_remove(table, keys), list(rows))


def _arrays(table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(
        kind_of(table.c[name]).array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    )


def _converted(table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    changes = _changes(table, names)
    if not any(changes):
        return list(rows)
    return [
        tuple(value if change is None else change(value) for change, value in zip(changes, row, strict=True))
        for row in rows
    ]


@functools.cache
def _postgres_update(table: Table, names: tuple[str, ...], keys: tuple[str, ...]) -> str:
    sets = ", ".join(f'"{name}" = u."{name}"' for name in names if name not in keys)
    same = " AND ".join(f't."{name}" = u."{name}"' for name in keys)
    return f'UPDATE "{table.name}" t SET {sets} FROM {_unnested(table, names)} WHERE {same}'  # noqa: S608  names come from the tables


@functools.cache
def _sqlite_update(table: Table, ordered: tuple[str, ...], keys: int) -> str:
    sets = ", ".join(f'"{name}" = ?' for name in ordered[:-keys])
    same = " AND ".join(f'"{name}" = ?' for name in ordered[-keys:])
    return f'UPDATE "{table.name}" SET {sets} WHERE {same}'  # noqa: S608  names come from the tables


@functools.lru_cache(_MAX_CACHED)
def _plain(columns: tuple[Any, ...]) -> Select[Any]:
    return select(*columns)


@functools.lru_cache(_MAX_CACHED)
def _array_query(query: Select[Any], column: Any) -> Select[Any]:
    condition = text(f"{column.table.name}.{column.name} = ANY (:wanted)").bindparams(bindparam("wanted"))
    return query.where(condition)


@functools.lru_cache(_MAX_CACHED)
def _json_query(query: Select[Any], column: Any) -> Select[Any]:
    value = "from_hex(value)" if isinstance(column.type, LargeBinary) else "value"
    condition = f"{column.table.name}.{column.name} IN (SELECT {value} FROM json_each(:wanted))"  # noqa: S608  names come from the tables
    return query.where(text(condition))


def _json_list(values: list[Any]) -> str:
    return json.dumps([value.hex() for value in values] if isinstance(values[0], bytes) else values)


@functools.lru_cache(_MAX_CACHED)
def _list_query(query: Select[Any], column: Any) -> Select[Any]:
    return query.where(column.in_(bindparam("wanted", expanding=True)))


def padded(values: list[Any]) -> list[Any]:
    """Repeat the last value up to a power of two: SQLite prepares a statement for each length, so there are few."""
    size = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (size - len(values))


@functools.cache
def _postgres_insert(table: Table, names: tuple[str, ...]) -> str:
    # In the list of columns, not in FROM: PostgreSQL would keep all rows in memory first. (Links: 7 % of its CPU.)
    values = ", ".join(f"unnest(%s::{kind_of(table.c[name]).name}[])" for name in names)
    return f'INSERT INTO "{table.name}" ({_quoted(names)}) SELECT {values}'


def _unnested(table: Table, names: Sequence[str]) -> str:
    arrays = ", ".join(f"%s::{kind_of(table.c[name]).name}[]" for name in names)
    return f"unnest({arrays}) AS u({_quoted(names)})"


@functools.cache
def _postgres_remove(table: Table, names: tuple[str, ...]) -> str:
    same = " AND ".join(f't."{name}" = u."{name}"' for name in names)
    return f'DELETE FROM "{table.name}" t USING {_unnested(table, names)} WHERE {same}'  # noqa: S608  names come from the tables


@functools.cache
def _sqlite_remove(table: Table, names: tuple[str, ...]) -> str:
    same = " AND ".join(f'"{name}" = ?' for name in names)
    return f'DELETE FROM "{table.name}" WHERE {same}'  # noqa: S608  names come from the tables


@functools.cache
def _sqlite_insert(table: Table, names: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(names))
    return f'INSERT INTO "{table.name}" ({_quoted(names)}) VALUES ({marks})'  # noqa: S608  names come from the tables


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@functools.cache
def _changes(table: Table, names: tuple[str, ...]) -> list[Callable[[Any], Any] | None]:
    """Return the conversion of each column's values for SQLite's driver; None: no conversion."""
    return [_change(table.c[name]) for name in names]


def _change(column: Column[Any]) -> Callable[[Any], Any] | None:
    if is_json(column):
        return _json_text
    return _time_text if isinstance(column.type, UtcDateTime) else None


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _time_text(value: datetime | None) -> str | None:
    """Format a time as SQLAlchemy does for SQLite, which has no type for it."""
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _parts(values: list[Any], size: int = 10_000) -> Iterable[list[Any]]:
    """Split values into parts, because SQLite accepts at most 32,766 parameters a statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
