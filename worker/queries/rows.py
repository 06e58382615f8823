"""Rows of the store as dictionaries, for the queries of this package."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, FromClause, Row, func, select
from sqlalchemy.engine import Connection

AnyRow = Row[*tuple[Any, ...]]
RowDict = dict[str, Any]
"""Column → value."""

MAX_ROWS = 50
"""Limit of each list, if the caller gives no other."""


def rows(connection: Connection, query: Executable) -> list[RowDict]:
    """Return the rows of a query."""
    return [dict(row._mapping) for row in connection.execute(query)]


def count(connection: Connection, table: FromClause, where: ColumnElement[bool]) -> int:
    """Return how many rows of a table fulfil a condition."""
    return int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)


def iso(moment: datetime | None) -> str | None:
    """Format a time as ISO 8601."""
    return moment.isoformat() if moment else None
