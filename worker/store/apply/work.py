"""Background work that is still to be done, as rows of `enrichment_work`: they survive the end of any process.

Kinds:
- `names`: count again which names articles use for a provider.
- `articles`: re-enrich the articles of a provider, or all articles (subject 0), because a reference document changed.
- `retract`: the retraction of a URL (subject: its document) reaches more documents than one transaction writes.

The next step starts after the cursor. Adding the same work again resets the cursor to 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from worker.store.sql.statements import merge
from worker.store.tables import articles, enrichment_work


def add_work(connection: Connection, kind: str, subjects: Iterable[int | None], now: datetime) -> None:
    """Add work of one kind for each subject, or restart it if it is already pending.

    Subjects that are None are skipped.
    """
    wanted = sorted({subject for subject in subjects if subject is not None})
    rows = [
        {"kind": kind, "subject_id": subject, "cursor": 0, "done": 0, "since": now,
         "total": _count(connection, subject) if kind == "articles" else 1}
        for subject in wanted
    ]  # fmt: skip
    merge(connection, enrichment_work, rows, ["kind", "subject_id"], ["cursor", "done", "total", "since"])


def _count(connection: Connection, provider: int) -> int:
    query = select(func.count()).select_from(articles).where(~articles.c.is_stub)
    return int(connection.scalar(query.where(articles.c.provider_id == provider) if provider else query) or 0)


def next_work(connection: Connection) -> Any:
    """Return the oldest pending work, or None."""
    order = (enrichment_work.c.since, enrichment_work.c.kind, enrichment_work.c.subject_id)
    return connection.execute(select(enrichment_work).order_by(*order).limit(1)).first()


def pending_work(connection: Connection) -> list[dict[str, Any]]:
    """Return all pending work, oldest first, with its progress: kind, subject, done and total."""
    return [
        {"kind": row.kind, "subject": row.subject_id, "done": row.done, "total": max(row.total, row.done)}
        for row in connection.execute(select(enrichment_work).order_by(enrichment_work.c.since))
    ]
