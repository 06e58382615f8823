"""Many rows in one statement, on both databases: `unnest` of arrays on PostgreSQL, `executemany` on SQLite."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, FromClause, Row, Table, any_, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def among(connection: Connection, column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column IN values` as one array parameter where the database has arrays."""
    if connection.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))
    return column.in_(list(values))


def fetch(
    connection: Connection,
    columns: Sequence[Any],
    column: Any,
    values: Iterable[Any],
    *where: Any,
    source: FromClause | None = None,
) -> list[Row[Any]]:
    """The rows, of the tables of `columns` or of `source`, whose `column` is among `values`."""
    wanted = list(dict.fromkeys(values))
    found: list[Row[Any]] = []
    for part in _parts(wanted):
        query = select(*columns).where(among(connection, column, part), *where)
        found += connection.execute(query if source is None else query.select_from(source)).all()
    return found


def remove(connection: Connection, table: Table, column: Any, values: Iterable[Any], *where: Any) -> None:
    """Delete the rows whose `column` is among `values`."""
    for part in _parts(list(dict.fromkeys(values))):
        connection.execute(delete(table).where(among(connection, column, part), *where))


def merge(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    keys: Sequence[str],
    updates: Sequence[str] = (),
) -> None:
    """Insert `rows` (all with the same names); where `keys` exist, set the columns of `updates`, or leave the row alone."""
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        statement = _postgres_merge(table, names, tuple(keys), tuple(updates))
        convert = [_json_text if _is_json(table.c[name]) else None for name in names]
        arrays = [
            [row[name] for row in rows] if fix is None else [fix(row[name]) for row in rows]
            for name, fix in zip(names, convert, strict=True)
        ]
        connection.exec_driver_sql(statement, tuple(arrays))
        return
    insert = sqlite_insert(table)
    if updates:
        insert = insert.on_conflict_do_update(
            index_elements=list(keys), set_={name: insert.excluded[name] for name in updates}
        )
    else:
        insert = insert.on_conflict_do_nothing(index_elements=list(keys))
    connection.execute(insert, list(rows))


def set_values(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], key: str) -> None:
    """Set, in the row that each of `rows` names by `key`, its other values. No JSON among them."""
    if not rows:
        return
    names = [name for name in rows[0] if name != key]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            _postgres_set(table, tuple(names), key), tuple([row[name] for row in rows] for name in (key, *names))
        )
        return
    statement = update(table).where(table.c[key] == bindparam("b_key"))
    statement = statement.values({name: bindparam(f"b_{name}") for name in names})
    values = [{"b_key": row[key], **{f"b_{name}": row[name] for name in names}} for row in rows]
    connection.execute(statement, values)


@functools.cache
def _postgres_set(table: Table, names: tuple[str, ...], key: str) -> str:
    columns = (key, *names)
    arrays = ", ".join(f"%s::{_type_name(table.c[name])}[]" for name in columns)
    quoted = ", ".join(f'"{name}"' for name in columns)
    sets = ", ".join(f'"{name}" = u."{name}"' for name in names)
    return f'UPDATE "{table.name}" t SET {sets} FROM unnest({arrays}) AS u({quoted}) WHERE t."{key}" = u."{key}"'  # noqa: S608  names come from the tables


@functools.cache
def _postgres_merge(table: Table, names: tuple[str, ...], keys: tuple[str, ...], update: tuple[str, ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    arrays, picks = [], []
    for name in names:
        kind = "text" if _is_json(table.c[name]) else _type_name(table.c[name])
        arrays.append(f"%s::{kind}[]")
        picks.append(f'u."{name}"::jsonb' if _is_json(table.c[name]) else f'u."{name}"')
    action = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in update)
    conflict = f"DO UPDATE SET {action}" if action else "DO NOTHING"
    target = ", ".join(f'"{key}"' for key in keys)
    return (
        f'INSERT INTO "{table.name}" ({quoted}) SELECT {", ".join(picks)} '  # noqa: S608  names come from the tables
        f"FROM unnest({', '.join(arrays)}) AS u({quoted}) ON CONFLICT ({target}) {conflict}"
    )


def _type_name(column: Column[Any]) -> str:
    name = column.type.compile(dialect=_DIALECT)
    return name.split(" COLLATE")[0]


def _is_json(column: Column[Any]) -> bool:
    return column.type._type_affinity is not None and column.type.__class__.__name__ == "JSON"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parts(values: list[Any], size: int = 10_000) -> Iterable[list[Any]]:
    """SQLite takes at most 32,766 parameters a statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
