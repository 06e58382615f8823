"""Counts of each source and site by the hour, rolled up from receipts beside the live batches.

A receipt counts in the hour in which its document arrived. `site` is the domain of the article's provider; the empty site
counts all documents of the source, also those that could not be read and belong to no site.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Integer, Row, Select, Table, case, delete, extract, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.settings import INTERNAL_LANE
from worker.store.clock import store_time
from worker.store.sql.statements import merge
from worker.store.tables import articles, providers, receipts, roll_ups, source_hours, source_rhythms

ALL_SITES = ""
"""The site of the rows that count all documents of a source."""
Pair = tuple[str, str]
"""A source and a site."""
EVERYTHING: Pair = ("*", "*")
"""The rows that count all documents of all sources. No site has this name."""
_NAME = "sources"
_MOST_RECEIPTS = 50_000
"""Receipts that one call of `roll_up` reads at most, about."""
_ROWS = 500
RECENT_DOCUMENTS = 50
_RECENT_FOR = timedelta(days=1)


@dataclass(slots=True)
class _Sum:
    """The documents of a source and a site in one hour."""

    lane: str
    first_at: datetime
    last_at: datetime
    documents: int = 0
    rejected: int = 0


@dataclass(slots=True)
class RolledUp:
    """The result of `roll_up`. `until`: all receipts settled before it are counted; `is_done`: none are left."""

    until: datetime
    is_done: bool
    pairs: set[Pair] = field(default_factory=set)
    """Those that got documents."""


def roll_up(connection: Connection, *, delay_seconds: float) -> RolledUp:
    """Count the receipts since the last call, in a writing transaction.

    `delay_seconds`: the age from which on no transaction can add a receipt any more.
    """
    now = store_time(connection) - timedelta(seconds=delay_seconds)
    since = _position(connection, now)
    if since >= now:
        return RolledUp(since, is_done=True)
    until = _until(connection, since, now)
    sums = _sums(connection, since, until)
    _add_hours(connection, sums)
    _add_rhythms(connection, sums)
    connection.execute(update(roll_ups).where(roll_ups.c.name == _NAME).values(until=until))
    return RolledUp(until, until >= now, {(source, site) for source, site, _ in sums})


def _position(connection: Connection, now: datetime) -> datetime:
    """Return where to continue. The row stays locked until the transaction ends, so that nothing is counted twice."""
    position = select(roll_ups.c.until).where(roll_ups.c.name == _NAME).with_for_update()
    found: datetime | None = connection.scalar(position)
    if found is None:
        oldest = connection.scalar(select(func.min(receipts.c.settled_at, type_=receipts.c.settled_at.type)))
        merge(connection, roll_ups, [{"name": _NAME, "until": min(oldest or now, now)}], ["name"])
        found = connection.scalar(position)
    return found or now


def rolled_up_until(connection: Connection) -> datetime | None:
    """Return the time up to which receipts are counted; None: nothing was counted yet."""
    return connection.scalar(select(roll_ups.c.until).where(roll_ups.c.name == _NAME))


def _until(connection: Connection, since: datetime, now: datetime) -> datetime:
    later = (
        select(receipts.c.settled_at)
        .where(receipts.c.settled_at >= since)
        .order_by(receipts.c.settled_at)
        .offset(_MOST_RECEIPTS)
        .limit(1)
    )
    found: datetime | None = connection.scalar(later)
    # A full batch settles at one moment, and all receipts of a moment are counted at once.
    return now if found is None else min(now, max(found, since + timedelta(seconds=1)))


def _sums(connection: Connection, since: datetime, until: datetime) -> dict[tuple[str, str, int], _Sum]:
    """Return (source, site, hour in seconds since 1970) → its documents among the receipts of a period."""
    # A producer can choose an id of the future, but no document arrives after its outcome.
    arrival = case(
        (receipts.c.received_at > receipts.c.settled_at, receipts.c.settled_at), else_=receipts.c.received_at
    )
    first, last = (function(arrival, type_=receipts.c.settled_at.type) for function in (func.min, func.max))
    hour = _hour(connection, arrival)
    columns = (receipts.c.source, providers.c.domain, receipts.c.lane, hour)
    rejected = func.sum(case((receipts.c.outcome == "rejected", 1), else_=0))
    query = (
        select(*columns, func.count(), rejected, first, last)
        .select_from(
            receipts.outerjoin(articles, articles.c.id == receipts.c.article_id).outerjoin(
                providers, providers.c.id == articles.c.provider_id
            )
        )
        .where(receipts.c.settled_at >= since, receipts.c.settled_at < until, receipts.c.lane != INTERNAL_LANE)
        .group_by(*columns)
    )
    sums: dict[tuple[str, str, int], _Sum] = {}
    for source, domain, lane, at, documents, rejected_count, first_at, last_at in connection.execute(query):
        for pair in (EVERYTHING, (source, ALL_SITES), *([(source, domain)] if domain else [])):
            of_hour = sums.setdefault((*pair, int(at) * 3600), _Sum(lane, first_at, last_at))
            of_hour.documents += documents
            of_hour.rejected += rejected_count
            of_hour.first_at = min(of_hour.first_at, first_at)
            if last_at >= of_hour.last_at:
                of_hour.lane, of_hour.last_at = lane, last_at
    return sums


def _hour(connection: Connection, time: ColumnElement[datetime]) -> ColumnElement[int]:
    epoch = extract("epoch", time)
    hour = func.floor(epoch / 3600) if connection.dialect.name == "postgresql" else epoch.op("/")(3600)
    return hour.cast(Integer)


def _add_hours(connection: Connection, sums: dict[tuple[str, str, int], _Sum]) -> None:
    rows = [
        {
            "source": source,
            "site": site,
            "at": datetime.fromtimestamp(at, UTC),
            "documents": of.documents,
            "rejected": of.rejected,
            "first_at": of.first_at,
            "last_at": of.last_at,
        }
        for (source, site, at), of in sums.items()
    ]
    _merge(
        connection,
        source_hours,
        rows,
        ["source", "site", "at"],
        added={"documents", "rejected"},
        least={"first_at"},
        greatest={"last_at"},
    )


def _add_rhythms(connection: Connection, sums: dict[tuple[str, str, int], _Sum]) -> None:
    """Note the newest document of each source and site, and how many of its newest documents were rejected."""
    newest: dict[Pair, tuple[int, _Sum]] = {}
    counts: dict[Pair, tuple[int, int]] = {}
    for (source, site, at), of in sums.items():
        pair = source, site
        if pair not in newest or at > newest[pair][0]:
            newest[pair] = at, of
        documents, rejected = counts.get(pair, (0, 0))
        counts[pair] = documents + of.documents, rejected + of.rejected
    before = _rhythms(connection, {source for source, _ in newest})
    rows = []
    for pair, (at, of) in newest.items():
        recent, rejected_count = _recent(*counts[pair], before.get(pair), of.last_at)
        rows.append(
            {
                **dict(zip(("source", "site"), pair, strict=True)),
                "lane": of.lane,
                "last_at": of.last_at,
                "last_hour": datetime.fromtimestamp(at, UTC),
                "gaps": 0,
                "weekly": [],
                "recent_documents": recent,
                "recent_rejected": rejected_count,
            }
        )
    changed, greatest = {"lane", "recent_documents", "recent_rejected"}, {"last_at", "last_hour"}
    _merge(connection, source_rhythms, rows, ["source", "site"], changed, greatest=greatest)


def _recent(documents: int, rejected: int, known: Row[Any] | None, at: datetime) -> tuple[float, float]:
    """Return the newest documents and how many of them were rejected: the new ones, and older ones up to 50 in all."""
    if known is None or not known.recent_documents or at - known.last_at > _RECENT_FOR:
        return documents, rejected
    share = min(1.0, max(0.0, RECENT_DOCUMENTS - documents) / known.recent_documents)
    return documents + share * known.recent_documents, rejected + share * known.recent_rejected


def _rhythms(connection: Connection, sources: Iterable[str]) -> dict[Pair, Row[Any]]:
    """Return the rhythms of all sites of `sources`."""
    table, names = source_rhythms.c, sorted(sources)
    columns = (table.source, table.site, table.last_at, table.recent_documents)
    found: dict[Pair, Row[Any]] = {}
    query: Select[Any] = select(*columns, table.recent_rejected)
    for start in range(0, len(names), _ROWS):
        for row in connection.execute(query.where(table.source.in_(names[start : start + _ROWS]))):
            found[row.source, row.site] = row
    return found


def hours_of(connection: Connection, pair: Pair, *, limit: int, since: datetime | None = None) -> list[Row[Any]]:
    """Return the newest `limit` hours of a source and a site (at, documents, rejected, first_at, last_at), oldest first."""
    table = source_hours.c
    query: Select[Any] = select(table.at, table.documents, table.rejected, table.first_at, table.last_at).where(
        table.source == pair[0], table.site == pair[1]
    )
    if since is not None:
        query = query.where(table.at >= since)
    return list(connection.execute(query.order_by(table.at.desc()).limit(limit)))[::-1]


def received_since(connection: Connection, since: datetime, *, source: str | None = None) -> dict[Pair, int]:
    """Return the documents of each source since an hour, or with `source` of its sites too."""
    table = source_hours.c
    one = table.site == ALL_SITES if source is None else table.source == source
    query = select(table.source, table.site, func.sum(table.documents)).where(table.at >= since, one)
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query.group_by(table.source, table.site))}


def delete_hours(connection: Connection, pair: Pair, before: datetime) -> None:
    """Delete the hours of a source and a site before a time."""
    table = source_hours.c
    connection.execute(delete(source_hours).where(table.source == pair[0], table.site == pair[1], table.at < before))


def _merge(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    keys: Sequence[str],
    replaced: Set[str] = frozenset(),
    *,
    added: Set[str] = frozenset(),
    least: Set[str] = frozenset(),
    greatest: Set[str] = frozenset(),
) -> None:
    """Insert `rows`. Where a row with the same `keys` exists, update the four sets of its columns accordingly."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    new, old = statement.excluded, table.c
    values = {
        **{name: new[name] for name in replaced},
        **{name: old[name] + new[name] for name in added},
        **{name: case((new[name] < old[name], new[name]), else_=old[name]) for name in least},
        **{name: case((new[name] > old[name], new[name]), else_=old[name]) for name in greatest},
    }
    statement = statement.on_conflict_do_update(index_elements=list(keys), set_=values)
    for start in range(0, len(rows), _ROWS):
        connection.execute(statement, list(rows[start : start + _ROWS]))
