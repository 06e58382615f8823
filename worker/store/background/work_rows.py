"""The rows of pending work: they survive the end of any process.

Kinds (`decide/change_set.py`):
- `names`: count again which names articles use for a provider.
- `articles`: re-enrich the articles of a provider, or all articles (subject 0), because a reference document changed.
- `retract`: the retraction of a URL (subject: its document) reaches more documents than one transaction writes.
- `peers`: compute the heat of the articles that list an article (the subject) as related.
- `image`: count the titles under which an image is shown.
- `target`: point links to what their URL means now.

A pass over many articles continues after the cursor. Adding work that is pending gives it another version, which is
random and never repeats: the work is done once more after the present pass. `since` orders the steps: each step puts its
work behind all other work, so no subject keeps the others waiting.

Two processes may do steps at once. What they write is right because of three rules:
- A step of `names`, `peers` or `image` reads and writes while it holds the step lock. So between its reading and its
  writing only batches write, and a batch adds work for whatever it changes.
- The other steps decide under the writer lock from what is stored then, as a batch does. They only read in advance.
- A pass deletes its work only if the version is that of the beginning of the pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import func, select, union_all
from sqlalchemy.engine import Connection

from worker.store.decide.change_set import ARTICLES, NAMES, RETRACT
from worker.store.decide.stored import Values
from worker.store.sql.flights import Flights, Result
from worker.store.sql.query import One, Query
from worker.store.sql.statements import removal, updating
from worker.store.tables import enrichment_work, url_work

MOST_SUBJECTS = 200
"""Subjects that one step takes at most."""


S = TypeVar("S", int, bytes)


class Work(NamedTuple, Generic[S]):
    """A row of `enrichment_work`, whose subject is an id, or of `url_work`, whose subject is a hash."""

    kind: str
    subject: S
    cursor: int
    version: int
    started: int
    since: datetime
    done: int
    total: int

    @property
    def begun_with(self) -> int:
        """Return the version of the present pass: that of its beginning."""
        return self.version if self.cursor == 0 else self.started


IdWork: TypeAlias = Work[int]
UrlWork: TypeAlias = Work[bytes]

_BY_ID: Query[IdWork] = Query(
    Work,
    "SELECT kind, subject_id, cursor, version, started, since, done, total FROM enrichment_work"
    " ORDER BY since, kind, subject_id LIMIT {limit most}",
    table=enrichment_work,
)
_URL_WORK = "SELECT kind, url_hash, cursor, version, started, since, 0, 0 FROM url_work"
_BY_URL: Query[UrlWork] = Query(
    Work, f"{_URL_WORK} ORDER BY since, kind, url_hash LIMIT {{limit most}}", table=url_work
)
_URL_ROW: Query[UrlWork] = Query(
    Work,
    f"{_URL_WORK} WHERE url_hash {{in hash}} AND kind {{in kind}}",
    {"hash": (url_work.c.url_hash,), "kind": (url_work.c.kind,)},
    url_work,
)
_TIMES = {"postgresql": "SELECT clock_timestamp()", "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"}
_NOW: dict[str, Query[One[datetime]]] = {
    name: Query(One, text, table=enrichment_work, names=("since",)) for name, text in _TIMES.items()
}
_STEP_LOCK = {"postgresql": "SELECT pg_try_advisory_xact_lock(1668247929)", "sqlite": "SELECT 1"}
_LOCK: dict[str, Query[One[bool]]] = {name: Query(One, text) for name, text in _STEP_LOCK.items()}


class Oldest(NamedTuple):
    """The oldest work and more of its kind, by id or by URL (both empty: no work is pending), and the database's time.

    `has_lock`: no other process holds the step lock. It is held until the transaction ends (SQLite: its write lock is).
    """

    by_id: list[IdWork]
    by_url: list[UrlWork]
    now: datetime
    has_lock: bool


def oldest(transaction: Flights, dialect: str) -> Oldest:
    """Find the oldest work, and try to take the step lock."""
    lock = transaction.fetch(_LOCK[dialect], {})
    now = transaction.fetch(_NOW[dialect], {})
    by_id = transaction.fetch(_BY_ID, {"most": MOST_SUBJECTS})
    by_url = transaction.fetch(_BY_URL, {"most": MOST_SUBJECTS})
    transaction.send()
    starts = [(row.since, row.kind) for row in by_id.rows[:1]] + [(row.since, row.kind) for row in by_url.rows[:1]]
    kind = min(starts)[1] if starts else ""
    return Oldest(
        [row for row in by_id.rows if row.kind == kind],
        [row for row in by_url.rows if row.kind == kind],
        now.rows[0].value,
        bool(lock.rows[0].value),
    )


def fetch_url_work(transaction: Flights, row: UrlWork) -> Result[UrlWork]:
    """Queue a query of the present state of a row; no rows: another process has finished it."""
    return transaction.fetch(_URL_ROW, {"hash": [row.subject], "kind": [row.kind]})


class Progress:
    """What a step has done of its work."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._ended: list[Values] = []
        self._rows: list[Values] = []

    def finish(self, work: Iterable[IdWork | UrlWork]) -> None:
        """Note the end of a pass: the work is deleted, or begins again if it was added meanwhile."""
        for row in work:
            self._ended.append((row.kind, row.subject, row.begun_with))
            self.advance(row, 0, 0)

    def advance(self, row: IdWork | UrlWork, cursor: int, done: int, total: int = 0) -> None:
        """Note the progress of a pass."""
        self._rows.append((row.kind, row.subject, cursor, row.begun_with, self._now, done, total))

    def write(self, transaction: Flights, dialect: str) -> None:
        """Queue the statements. Call it under the writer lock."""
        columns = ("cursor", "started", "since", "done", "total")
        for table, key, of, width in ((enrichment_work, "subject_id", int, 7), (url_work, "url_hash", bytes, 5)):
            ended = [row for row in self._ended if isinstance(row[1], of)]
            rows = [row[:width] for row in self._rows if isinstance(row[1], of)]
            if ended:
                transaction.execute(removal(dialect, table, ("kind", key, "version"), ended))
            if rows:
                transaction.execute(updating(dialect, table, ("kind", key, *columns)[:width], ("kind", key), rows))


def is_work_left(connection: Connection) -> bool:
    """Return whether any work is pending."""
    by_id, by_url = select(enrichment_work.c.kind).limit(1), select(url_work.c.kind).limit(1)
    return connection.scalar(by_id) is not None or connection.scalar(by_url) is not None


_SHOWN_ALONE = (NAMES, ARTICLES, RETRACT)


def pending_work(connection: Connection) -> list[dict[str, Any]]:
    """Return all pending work with its progress: kind, subject, done and total.

    First names, re-enrichments and retractions, the oldest first. Then one element for each other kind, because these
    usually end within seconds; its total is the count of its subjects.
    """
    table = enrichment_work.c
    alone = select(enrichment_work).where(table.kind.in_(_SHOWN_ALONE)).order_by(table.since)
    found: list[dict[str, Any]] = [
        {"kind": row.kind, "subject": row.subject_id, "done": row.done, "total": max(row.total, row.done)}
        for row in connection.execute(alone)
    ]
    counts = union_all(
        select(table.kind, func.count()).where(table.kind.not_in(_SHOWN_ALONE)).group_by(table.kind),
        select(url_work.c.kind, func.count()).group_by(url_work.c.kind),
    )
    found += [{"kind": kind, "subject": 0, "done": 0, "total": count} for kind, count in connection.execute(counts)]
    return found
