"""The document frequencies of completed days of arrival."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, delete, exists, insert, literal, select, union_all
from sqlalchemy.engine import Connection

from worker.store.linking.compared_articles import first_seen_on
from worker.store.tables import articles, document_frequencies


def completed_days(connection: Connection, before: date) -> Sequence[Row[Any]]:
    """Return the stored frequencies of the days of arrival before a day, oldest first."""
    stored = select(document_frequencies).where(document_frequencies.c.day < before)
    return connection.execute(stored.order_by(document_frequencies.c.day)).all()


def uncounted_days(connection: Connection, first: date, before: date, stored: Collection[date]) -> list[date]:
    """Return the days of arrival from `first` until `before` (excluded) that are not among `stored`.

    It looks for one article of each such day, instead of sorting the days of all articles.
    """
    days = [day for n in range((before - first).days) if (day := first + timedelta(days=n)) not in stored]
    some = [
        select(literal(n)).where(exists(select(articles.c.id).where(*first_seen_on(day)))) for n, day in enumerate(days)
    ]
    return [days[n] for n in sorted(connection.scalars(union_all(*some)))] if some else []


def keep_day(connection: Connection, day: date, documents: int, counts: bytes) -> None:
    """Store the frequencies of a completed day, in place of those that an earlier version of Copydesk counted."""
    connection.execute(delete(document_frequencies).where(document_frequencies.c.day == day))
    connection.execute(insert(document_frequencies).values(day=day, documents=documents, counts=counts))


def forget_days(connection: Connection, before: date) -> None:
    """Delete the frequencies of the days before a day."""
    connection.execute(delete(document_frequencies).where(document_frequencies.c.day < before))
