"""The alarms of silence that ended: when each of them began and ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Row, ScalarSelect, Table, delete, func, select
from sqlalchemy.engine import Connection

from worker.store.sources.source_hours import Pair
from worker.store.sql.statements import merge
from worker.store.tables import past_silences


def add_past_silences(connection: Connection, ended: Iterable[tuple[Pair, datetime, datetime]]) -> None:
    """Store silences: the source and the site, when it began, and when it ended."""
    rows = [{"source": source, "site": site, "began": since, "ended": until} for (source, site), since, until in ended]
    merge(connection, past_silences, rows, ["source", "site", "began"])


def read_past_silences(connection: Connection, pair: Pair) -> list[tuple[datetime, datetime]]:
    """Return when each silence of a source and a site began and ended, oldest first."""
    own = (past_silences.c.source == pair[0], past_silences.c.site == pair[1])
    query = select(past_silences.c.began, past_silences.c.ended).where(*own).order_by(past_silences.c.began)
    return [(row.began, row.ended) for row in connection.execute(query)]


def newest_silences(connection: Connection, source: str, limit: int) -> list[Row[tuple[str, datetime, datetime]]]:
    """Return the newest silences of a source and its sites: (site, began, ended), the newest first."""
    columns = (past_silences.c.site, past_silences.c.began, past_silences.c.ended)
    query = select(*columns).where(past_silences.c.source == source).order_by(past_silences.c.began.desc())
    return list(connection.execute(query.limit(limit)))


def count_past_silences(table: Table) -> ScalarSelect[int]:
    """Return the number of silences of the source and the site in a row of `table`, as a column."""
    own = (past_silences.c.source == table.c.source, past_silences.c.site == table.c.site)
    return select(func.count()).select_from(past_silences).where(*own).correlate(table).scalar_subquery()


def forget_past_silences(connection: Connection, pair: Pair) -> None:
    """Delete all of a source and a site."""
    own = (past_silences.c.source == pair[0], past_silences.c.site == pair[1])
    connection.execute(delete(past_silences).where(*own))
