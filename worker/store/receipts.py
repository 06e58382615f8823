"""Queries about receipts and counts, for operators and the command line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.store.decide.article_rows import PIPELINE_VERSION
from worker.store.linking.link_states import IS_OUTDATED, IS_PENDING, IS_PROVISIONAL
from worker.store.sql.statements import fetch_where
from worker.store.tables import articles, dead_letters, documents, lanes, links, providers, receipts, stories, topics


def receipts_of(connection: Connection, lane: str, ids: Iterable[str]) -> dict[str, Any]:
    """Return receipt id → its row, for those of `ids` that are settled."""
    columns = (receipts.c.id, receipts.c.lane, receipts.c.outcome, receipts.c.url, receipts.c.problems)
    return {row.id: row for row in fetch_where(connection, columns, receipts.c.id, ids, receipts.c.lane == lane)}


def highest_id(connection: Connection, lane: str) -> str | None:
    """Return the highest id of a lane that has a receipt, in Redis' format; None: the lane has none."""
    found = connection.scalar(select(lanes.c.highest).where(lanes.c.name == lane))
    if not found:
        return None
    ms, _, rest = found.partition("-")
    return f"{int(ms)}-{int(rest.partition(':')[0])}"


def dead_letter_codes(connection: Connection) -> dict[str, int]:
    """Return code → how many open dead letters have it, most frequent first."""
    query = (
        select(dead_letters.c.code, func.count())
        .where(dead_letters.c.status == "open")
        .group_by(dead_letters.c.code)
        .order_by(func.count().desc(), dead_letters.c.code)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


_MOST_COUNTED = 100_000


def waiting_for_links(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many articles the linker has not linked yet (see `_count`), and when the oldest of them changed."""
    oldest = select(articles.c.changed_at).where(IS_PENDING).order_by(articles.c.changed_at).limit(1)
    return _count(connection, IS_PENDING), connection.scalar(oldest)


def linked_provisionally(connection: Connection) -> int:
    """Return how many articles the linker links again when arrivals pause (see `_count`)."""
    return _count(connection, IS_PROVISIONAL)


def linked_by_an_older_rule(connection: Connection) -> int:
    """Return how many articles `copydesk relink` marked that are not linked again yet (see `_count`)."""
    return _count(connection, IS_OUTDATED)


def _count(connection: Connection, state: ColumnElement[bool]) -> int:
    """Return how many articles are in a link state, counted up to 100,000."""
    part = select(articles.c.id).where(state).limit(_MOST_COUNTED).subquery()
    return int(connection.scalar(select(func.count()).select_from(part)) or 0)


def last_settled_at(connection: Connection) -> float | None:
    """Return when the newest receipt was written, in seconds since 1970; None if there is none."""
    moment = connection.scalar(select(receipts.c.settled_at).order_by(receipts.c.settled_at.desc()).limit(1))
    return None if moment is None else moment.timestamp()


def behind(connection: Connection) -> int:
    """Return how many articles were written by an older pipeline version than this code's."""
    older = articles.c.pipeline_version.is_(None) | (articles.c.pipeline_version < PIPELINE_VERSION)
    return int(connection.scalar(select(func.count()).select_from(articles).where(~articles.c.is_stub, older)) or 0)


def totals(connection: Connection) -> dict[str, int]:
    """Return how many rows the public tables have. `articles` and `stubs` are counted separately, without orphans."""
    live = ~articles.c.is_stub
    stubs = articles.c.is_stub & articles.c.orphaned_at.is_(None)
    counted = {
        "articles": select(func.count()).select_from(articles).where(live),
        "stubs": select(func.count()).select_from(articles).where(stubs),
        **{t.name: select(func.count()).select_from(t) for t in (documents, links, topics, providers, stories)},
    }
    return {name: int(connection.scalar(query) or 0) for name, query in counted.items()}
