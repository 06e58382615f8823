"""Which articles wait for the linker: `articles.link_state`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal_column, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.store.sql.statements import among, fetch
from worker.store.tables import articles

IS_PENDING = articles.c.link_state == literal_column("'pending'")
"""The article's current version was not linked yet. A literal, so that the partial index serves prepared statements."""

IS_PROVISIONAL = articles.c.link_state == literal_column("'provisional'")
"""It was linked by less than all evidence, and is linked again when nothing is pending (see `linking/linker.py`)."""

IS_OUTDATED = articles.c.link_state == literal_column("'outdated'")
"""Its links are of an older rule. It is linked again when nothing else waits (see `outdated.py`)."""

IS_LINKED = articles.c.link_state == literal_column("'linked'")

WAS_SEEN = ~(IS_PENDING & (articles.c.changed_at == articles.c.first_seen_at))
"""An earlier version of the article may have been linked, or this one was. The others come to the linker for the first time."""

IS_COMPARED_FOR_GOOD = WAS_SEEN & ~IS_PROVISIONAL
"""The same without the articles that are linked again: they find this one then, so each pair is found once."""


def pending(connection: Connection, most: int, state: ColumnElement[bool] = IS_PENDING) -> Sequence[Any]:
    """Return (id, changed_at) of at most `most` articles that wait for the linker, oldest change first.

    `state`: `IS_PENDING`, or `IS_PROVISIONAL` for articles that are linked again.
    """
    waiting = select(articles.c.id, articles.c.changed_at).where(state)
    return connection.execute(waiting.order_by(articles.c.changed_at, articles.c.id).limit(most)).all()


def provisional_ids(connection: Connection) -> Sequence[int]:
    """Return the ids of all articles that were linked provisionally."""
    return connection.scalars(select(articles.c.id).where(IS_PROVISIONAL)).all()


def has_more_pending(connection: Connection, count: int) -> bool:
    """Return whether more than `count` articles are pending. It reads so many entries of an index."""
    query = select(articles.c.id).where(IS_PENDING).order_by(articles.c.changed_at, articles.c.id)
    return connection.execute(query.offset(count).limit(1)).first() is not None


def pending_count(connection: Connection) -> int:
    """Return how many articles wait for the linker: those not linked yet, and those that it links again."""
    return sum(
        int(connection.scalar(select(func.count()).select_from(articles).where(state)) or 0)
        for state in (IS_PENDING, IS_PROVISIONAL)
    )


def unchanged(
    connection: Connection, seen: Mapping[int, datetime], others: Iterable[int] = ()
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Return id → url_hash of the articles that have not changed since they were read, and of `others` with content.

    `seen`: id → changed_at.
    """
    columns = (articles.c.id, articles.c.changed_at, articles.c.url_hash, articles.c.orphaned_at)
    ends = set(others)
    found = fetch(connection, columns, articles.c.id, ends.union(seen))
    return (
        {row.id: row.url_hash for row in found if row.changed_at == seen.get(row.id)},
        {row.id: row.url_hash for row in found if row.id in ends and row.orphaned_at is None},
    )


def marked(before: str, state: str | None) -> str:
    """Return the link state of an article after it was linked: `state`, unless it is further already; None changes nothing."""
    return state if state == "linked" or (state and before == "pending") else before


def mark_linked(connection: Connection, ids: Collection[int], state: str = "linked") -> None:
    """Set the link state of these articles to `state`, as `marked` says."""
    waits = IS_PENDING if state == "provisional" else ~IS_LINKED
    if ids:
        of_ids = among(connection, articles.c.id, sorted(ids))
        connection.execute(update(articles).where(of_ids, waits).values(link_state=state))
