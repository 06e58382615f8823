"""Reads the articles of a day of arrival in pages, and counts the frequencies of their features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.linking.lease import Lease
from worker.linking.pairs.similar_links import STORY_KINDS
from worker.linking.stored_rows import StoredArticle
from worker.linking.texts.features import Features, features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.texts.idf_basis import IdfBasis
from worker.store.engine import writer
from worker.store.linking import compared_articles, day_frequencies

_MAX_AGE_DAYS = 400


def pages(engine: Engine, where: Sequence[ColumnElement[bool]]) -> Iterator[Sequence[StoredArticle]]:
    """Yield the articles that match `where` in pages, each in a transaction of its own."""
    after = 0
    while True:
        with engine.begin() as connection:
            page: Sequence[Any] | None = next(compared_articles.pages(connection, where, after=after), None)
        if page is None:
            return
        yield page
        after = page[-1].id


def count_arrivals(engine: Engine, lease: Lease, day: date, *, max_pages: int | None = None) -> Frequencies:
    """Return the frequencies of a day's arrivals, or only of the first `max_pages` pages of them."""
    counted = Frequencies()
    for page in islice(pages(engine, compared_articles.arrivals(day, STORY_KINDS)), max_pages):
        counted.add(features_of_page(page))
        lease.renew()
    return counted


def open_day(engine: Engine, lease: Lease, day: date) -> IdfBasis:
    """Return the frequencies for a day. Those of earlier days are counted and stored first where they are missing."""
    with engine.begin() as connection:
        basis, missing = stored_basis(connection, day)
    for one in missing:
        basis.completed.merge(_complete(engine, lease, one))
    return basis


def stored_basis(connection: Connection, day: date) -> tuple[IdfBasis, list[date]]:
    """Return the stored frequencies for a day, and the earlier days with articles whose frequencies are missing.

    Those that a version of Copydesk stored which cut texts into other words count as missing.
    """
    basis = IdfBasis(day, Frequencies())
    stored = {
        row.day: row for row in day_frequencies.completed_days(connection, day) if Frequencies.is_current(row.counts)
    }
    for one, row in stored.items():
        if one >= basis.oldest_day():
            basis.completed.merge(Frequencies.load(row.documents, row.counts))
    return basis, day_frequencies.uncounted_days(connection, basis.oldest_day(), day, stored)


def features_of_page(rows: Sequence[StoredArticle]) -> Features:
    """Return the features of stored articles."""
    return features_of_all([(row.title, row.excerpt) for row in rows])


def _complete(engine: Engine, lease: Lease, day: date) -> Frequencies:
    """Count and store the frequencies of a completed day."""
    counted = count_arrivals(engine, lease, day)
    with writer(engine) as connection, connection.begin():
        lease.confirm(connection)
        day_frequencies.keep_day(connection, day, counted.documents, counted.dump())
        day_frequencies.forget_days(connection, day - timedelta(days=_MAX_AGE_DAYS))
    return counted
