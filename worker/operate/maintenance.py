"""What keeps the store from growing for ever, in small transactions beside live work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, exists, select

from worker.store.engine import writer
from worker.store.tables import dead_letters, documents, raw_documents

_BATCH = 500


def expire_raw(engine: Engine, *, days: float) -> int:
    """Delete raw bytes not seen for `days` that belong to no live document and no open dead letter; returns how many.

    A batch that brings the same bytes again moves `last_seen_at` in its own transaction, so what it needs stays.
    """
    before, removed = datetime.now(UTC) - timedelta(days=days), 0
    needed = exists().where(documents.c.raw_sha256 == raw_documents.c.sha256, ~documents.c.retracted)
    wanted = exists().where(dead_letters.c.raw_sha256 == raw_documents.c.sha256, dead_letters.c.status == "open")
    idle = (raw_documents.c.last_seen_at < before) & ~needed & ~wanted
    while True:
        with writer(engine) as connection, connection.begin():
            part = select(raw_documents.c.sha256).where(idle).order_by(raw_documents.c.sha256).limit(_BATCH)
            found = list(connection.scalars(part.with_for_update(skip_locked=True, of=raw_documents)))
            if not found:
                return removed
            connection.execute(delete(raw_documents).where(raw_documents.c.sha256.in_(found), idle))
            removed += len(found)
