"""Queries written once for both databases, and their rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Boolean, Column, LargeBinary, Table

from worker.store.columns import UtcDateTime
from worker.store.sql.arrays import is_json, kind_of
from worker.store.sql.statements import padded

R = TypeVar("R", bound=tuple[Any, ...])
K = TypeVar("K")
V = TypeVar("V")
_MACRO = re.compile(r"\{(in|not in|table|value|limit) (\w+)\}")
_LIMIT = re.compile(r"\{limit (\w+)\}")


class One(NamedTuple, Generic[K]):
    """The row of a query for one column."""

    value: K


class Pair(NamedTuple, Generic[K, V]):
    """The row of a query for two columns, so `dict` makes a mapping of the rows."""

    key: K
    value: V


class Query(Generic[R]):
    """A query written once for both databases. `row`: makes a row of the values; `names`: theirs, default its fields.

    In the text, `x {in keys}` means that x is one of the values of the list `keys`, `x {not in keys}` the opposite,
    and `{table keys}` is a subquery with these values as rows. `lists`: the columns whose type the values of each list
    have. `{value n}` is a number. `{limit n}` is one that PostgreSQL must know when it plans a statement for all values:
    without it, it expects a tenth of all rows, and may read a whole table for 20 of them. Values that are named like a
    column of `table` are converted as its values. `sqlite`: another text for SQLite, where it lacks what `text` needs.
    """

    def __init__(
        self,
        row: Callable[..., R],
        text: str,
        lists: Mapping[str, tuple[Column[Any], ...]] = MappingProxyType({}),
        table: Table | None = None,
        *,
        names: Sequence[str] = (),
        sqlite: str | None = None,
    ) -> None:
        self.row, self.lists = row, lists
        self._text = sqlite or text
        self._postgres = _MACRO.sub(self._postgres_macro, text)
        self.first = next(iter(lists), None)
        names = names or getattr(row, "_fields", ())
        self.changes = [_from_sqlite(table.c.get(name) if table is not None else None) for name in names]

    def _postgres_macro(self, found: re.Match[str]) -> str:
        macro, name = found[1], found[2]
        if macro == "limit":
            return found[0]
        if macro == "value":
            return f"%({name})s::bigint"
        if macro == "table":
            arrays = ", ".join(f"%({name}{n})s" for n in range(len(self.lists[name])))
            return f"SELECT * FROM unnest({arrays})"  # noqa: S608  names of parameters
        return f"= ANY(%({name}0)s)" if macro == "in" else f"<> ALL(%({name}0)s)"

    def postgres(self, values: Mapping[str, Any]) -> str:
        """Return the text of the statement for PostgreSQL. The `values` are not in it, but for its limits."""
        return _LIMIT.sub(lambda found: str(int(values[found[1]])), self._postgres)

    def postgres_values(self, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, columns in self.lists.items():
            rows = values[name]
            lists: Iterable[Sequence[Any]] = (
                [rows] if len(columns) == 1 else (zip(*rows, strict=True) if rows else [()] * 9)
            )
            for n, (column, each) in enumerate(zip(columns, lists, strict=False)):
                found[f"{name}{n}"] = kind_of(column).array(list(each))
        return found | {name: value for name, value in values.items() if name not in self.lists}

    def sqlite(self, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        parameters: list[Any] = []

        def expand(found: re.Match[str]) -> str:
            macro, name = found[1], found[2]
            if macro in ("value", "limit"):
                parameters.append(values[name])
                return "?"
            rows = padded(list(values[name]))
            width = len(self.lists[name])
            parameters.extend(rows if width == 1 else (value for row in rows for value in row))
            if macro == "table":
                return "VALUES " + ", ".join([f"({', '.join('?' * width)})"] * len(rows))
            return f"{'IN' if macro == 'in' else 'NOT IN'} ({', '.join('?' * len(rows))})"

        return _MACRO.sub(expand, self._text), parameters


def _from_sqlite(column: Column[Any] | None) -> Callable[[Any], Any] | None:
    """Return the conversion of a column's values from SQLite's driver; None: no conversion."""
    if column is None or isinstance(column.type, LargeBinary):
        return None
    if is_json(column):
        return lambda value: None if value is None else json.loads(value)
    if isinstance(column.type, UtcDateTime):
        return lambda value: None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)
    if isinstance(column.type, Boolean):
        return lambda value: None if value is None else bool(value)
    return None
