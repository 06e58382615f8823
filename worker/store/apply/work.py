"""Enrichment that is left to be done beside live work: small rows that survive whatever ends a process.

`names`: count anew under which names a provider is known. `articles`: look again at the articles of a provider, or at all
(subject 0), because a reference document changed. `retract`: the retraction of a URL (subject: its document) has more
documents to reach than one transaction takes. The cursor is where the next step goes on; a change that comes meanwhile
sets it back.
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
    """Leave work behind, or begin anew what is under way."""
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
    """The work to go on with, oldest first, or None."""
    order = (enrichment_work.c.since, enrichment_work.c.kind, enrichment_work.c.subject_id)
    return connection.execute(select(enrichment_work).order_by(*order).limit(1)).first()


def pending_work(connection: Connection) -> list[dict[str, Any]]:
    """What is left, with how far it is."""
    return [
        {"kind": row.kind, "subject": row.subject_id, "done": row.done, "total": max(row.total, row.done)}
        for row in connection.execute(select(enrichment_work).order_by(enrichment_work.c.since))
    ]
