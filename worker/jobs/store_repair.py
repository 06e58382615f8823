"""Repair rows that break a rule of `store/consistency.py`, where what they should be follows from the rest of the store.

Such rows are found without a lock, because that reads whole tables, and changed under the writer lock, a page at a time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Engine, Select, Table, delete, func, select, update
from sqlalchemy.engine import Connection

from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete
from worker.store.clock import store_time
from worker.store.consistency import REFERENCES, is_dangling, undecided_urls
from worker.store.decide.change_set import TARGET
from worker.store.engine import enter_writer, without_statement_timeout, writer
from worker.store.linking.link_states import IS_LINKED
from worker.store.linking.links import KINDS
from worker.store.sql.statements import among, merge
from worker.store.tables import articles, links, url_work

_PAGE = 1000
_WAIT_SECONDS = 60
"""How long to wait for the links to the URLs that are decided again. Where documents flow, batches may add their work anew."""
_LINKED_TO_NOTHING = (links.c.kind.in_(KINDS), is_dangling(links.c.target_id, articles))


@dataclass(frozen=True, slots=True)
class Repaired:
    """How many rows were deleted, how many URLs were decided again, and how many articles the linker links again.

    `pending`: of the URLs, those that the workers have still to decide.
    """

    deleted: int
    urls: int
    articles: int
    pending: int = 0

    @property
    def summary(self) -> str:
        pending = f" ({self.pending:,} of them are still pending: the workers decide them)" if self.pending else ""
        return (
            f"rows deleted: {self.deleted:,}, URLs decided again: {self.urls:,}{pending},"
            f" articles to be linked again: {self.articles:,}"
        )


def repair(engine: Engine, rules: AllRules) -> Repaired:
    """Delete rows of articles and topics that do not exist, and decide again what URLs mean whose links or stubs are wrong.

    Raises SQLAlchemy's errors. It can be stopped at any time.
    """
    urls = sorted({url_hash for query in undecided_urls() for url_hash in _read(engine, query)})
    decided = _in_pages(engine, urls, _decide_again)
    sources = _read(engine, select(links.c.source_id).where(*_LINKED_TO_NOTHING).distinct())
    linked_again = _in_pages(engine, sources, _link_again)
    deleted = sum(_delete(engine, column, table) for column, table in REFERENCES if column is not links.c.target_id)
    until = time.monotonic() + _WAIT_SECONDS
    while (pending := _pending(engine, urls)) and time.monotonic() < until:
        complete(engine, rules, seconds=1)
    return Repaired(deleted, decided, linked_again, pending)


def _pending(engine: Engine, urls: Sequence[bytes]) -> int:
    """Return how many of the URLs are still to be decided."""
    count = 0
    with engine.connect() as connection:
        for start in range(0, len(urls), _PAGE):
            where = (url_work.c.kind == TARGET, among(connection, url_work.c.url_hash, urls[start : start + _PAGE]))
            count += connection.scalar(select(func.count()).where(*where).select_from(url_work)) or 0
    return count


def _delete(engine: Engine, column: Column[Any], table: Table) -> int:
    """Delete the rows whose `column` refers to no row of `table`; returns how many."""
    ids = _read(engine, select(column).where(is_dangling(column, table)).distinct())

    def delete_page(connection: Connection, page: Sequence[Any]) -> int:
        where = (among(connection, column, page), is_dangling(column, table))
        return connection.execute(delete(column.table).where(*where)).rowcount

    return _in_pages(engine, ids, delete_page)


def _decide_again(connection: Connection, hashes: Sequence[bytes]) -> int:
    """Add the work of `store/background/target_step.py`, which points the links to a URL to what it means."""
    new = {"cursor": 0, "started": 0, "since": store_time(connection), "version": secrets.randbits(63)}
    rows = [{"kind": TARGET, "url_hash": url_hash, **new} for url_hash in hashes]
    merge(connection, url_work, rows, ("kind", "url_hash"), ("version",))
    return len(rows)


def _link_again(connection: Connection, ids: Sequence[int]) -> int:
    """Delete the linker's links of these articles to articles that do not exist, and mark the articles for the linker."""
    connection.execute(delete(links).where(among(connection, links.c.source_id, ids), *_LINKED_TO_NOTHING))
    marked = update(articles).where(among(connection, articles.c.id, ids), IS_LINKED).values(link_state="outdated")
    return connection.execute(marked).rowcount


def _read(engine: Engine, query: Select[Any]) -> Sequence[Any]:
    with engine.connect() as connection, connection.begin():
        without_statement_timeout(connection)
        return connection.scalars(query).all()


def _in_pages(engine: Engine, values: Sequence[Any], change: Callable[[Connection, Sequence[Any]], int]) -> int:
    """Call `change` for each page of `values` in a transaction under the writer lock; returns the sum of its results."""
    changed = 0
    for start in range(0, len(values), _PAGE):
        with writer(engine) as connection, connection.begin():
            enter_writer(connection)
            changed += change(connection, values[start : start + _PAGE])
    return changed
