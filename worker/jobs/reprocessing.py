"""Reprocess stored documents with the current pipeline: on the internal lane, with their revision.

If a newer version of a document arrives meanwhile, it wins: the reprocessed older version is superseded. The command
can be stopped at any time: `--behind` selects the documents that are still to be done.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import redis
from sqlalchemy import ColumnElement, Engine, Text, cast, func, select
from sqlalchemy.engine import Connection

from schemas.problem import Severity
from worker.dead_letters.dry_run import DryRun
from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import changed_fields
from worker.enrichment.enricher import enrich
from worker.enrichment.reference_documents import changed_reference_fields, edit_reference, reference_from_form
from worker.enrichment.urls.canonical_urls import canonicalise, url_hash
from worker.errors import CopydeskError, Exit
from worker.queue.lease_queue import LeaseQueue
from worker.settings import INTERNAL_LANE
from worker.store.decide.article_rows import PIPELINE_VERSION
from worker.store.receipts import receipts_of
from worker.store.sql.statements import AnyRow, fetch
from worker.store.tables import articles, documents, raw_documents, receipts

if TYPE_CHECKING:
    from redis.typing import EncodableT, FieldT

_PAGE = 20  # documents that are in memory at once, each with its raw bytes and its form
_MAX_WAITING = 400  # entries on the internal lane: it bounds Redis' memory and the delay of live documents
_PAUSE_SECONDS = 0.1


class ReprocessStalled(CopydeskError):
    """Raised when no worker processes the documents that were sent."""

    exit_code = Exit.TIMED_OUT


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of stored documents; all parts that are set must match.

    `code`: a problem of one of its receipts. `since`: changed at that time or later. `behind`: an older pipeline
    version.
    """

    source: str | None = None
    kind: str | None = None
    url: str | None = None
    code: str | None = None
    since: datetime | None = None
    behind: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        conditions = [~documents.c.retracted, documents.c.form.is_not(None)]
        if self.source is not None:
            conditions.append(documents.c.source == self.source)
        if self.kind is not None:
            published = select(articles.c.url_hash).where(articles.c.kind == self.kind.lower())
            conditions.append(documents.c.article_hash.in_(published) | (documents.c.taxonomy == self.kind.lower()))
        if self.url is not None:
            conditions.append(documents.c.article_hash == url_hash(canonicalise(self.url)))
        if self.code is not None:
            named = cast(receipts.c.problems, Text).contains(f'"code": "{self.code}"', autoescape=True)
            conditions.append(documents.c.id.in_(select(receipts.c.document_id).where(named)))
        if self.since is not None:
            conditions.append(documents.c.changed_at >= self.since)
        if self.behind:
            older = documents.c.pipeline_version.is_(None) | (documents.c.pipeline_version < PIPELINE_VERSION)
            conditions.append(older)
        return conditions


Advance = Callable[[int], None]
StoredDocument = tuple[AnyRow, bytes]
"""A row of `documents` with its raw bytes."""


def count(engine: Engine, selection: Filter) -> int:
    """Return how many documents match."""
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(documents).where(*selection.conditions())) or 0)


def matching_documents(engine: Engine, selection: Filter) -> Iterator[StoredDocument]:
    """Yield each document that matches with its raw bytes, in the order of ids.

    Documents without raw bytes are skipped.
    """
    after = 0
    query = select(documents).where(*selection.conditions()).order_by(documents.c.id).limit(_PAGE)
    while True:
        with engine.connect() as connection:
            page = connection.execute(query.where(documents.c.id > after)).all()
            raws = _raws(connection, page)
        for row in page:
            raw = raws.get(row.raw_sha256)
            if raw is not None:
                yield row, raw
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _raws(connection: Connection, page: Sequence[AnyRow]) -> dict[bytes, bytes]:
    columns = (raw_documents.c.sha256, raw_documents.c.bytes)
    rows = fetch(connection, columns, raw_documents.c.sha256, {row.raw_sha256 for row in page})
    return {row.sha256: bytes(row.bytes) for row in rows}


def forecast(engine: Engine, selection: Filter, limits: Limits, advance: Advance = lambda _: None) -> DryRun:
    """Do a dry run: parse and enrich every document that matches, and send or store nothing.

    `advance` gets the count so far.
    """
    done = DryRun()
    for row, raw in matching_documents(engine, selection):
        done.seen += 1
        changed, code = _what_would_change(row, raw, limits)
        if code is not None:
            done.failing[code] += 1
        else:
            done.passing += 1
            done.changed += bool(changed)
            done.fields.update(changed)
        advance(done.seen)
    return done


def _what_would_change(row: AnyRow, raw: bytes, limits: Limits) -> tuple[list[str], str | None]:
    """Return the names of the fields that would change, and the code with which it would be rejected, or None."""
    reading = read(raw, has_key=True, limits=limits)
    if reading.reference is not None:
        reference = edit_reference(reading.reference)
        if reference is None:
            return [], "no_identity"
        old = reference_from_form(row.form) if row.taxonomy else None
        return (changed_reference_fields(old, reference) if old else ["taxonomy"]), None
    if reading.article is None:
        return [], next(problem.code for problem in reading.problems if problem.severity is Severity.ERROR)
    copy = enrich(reading.article, reading.body, source=row.source, key=row.key)
    return (["taxonomy"] if row.taxonomy else changed_fields(document_from_json(row.form, copy.secured), copy)), None


def reprocess(
    engine: Engine, client: redis.Redis, selection: Filter, advance: Advance = lambda _: None, *, timeout: float = 120
) -> Counter[str]:
    """Send the documents to the internal lane, a few at a time, and wait for their outcomes; returns outcome → count.

    `advance` gets the count of outcomes so far. Raises redis.RedisError, SQLAlchemy's errors, and ReprocessStalled
    when no outcome arrives for `timeout` seconds. Documents that were sent are processed all the same.
    """
    queue = LeaseQueue(client, INTERNAL_LANE)
    queue.ensure()
    waiting: set[str] = set()
    outcomes: Counter[str] = Counter()

    def wait_until_waiting(limit: int) -> None:
        last_progress = time.monotonic()
        while len(waiting) > limit:
            with engine.connect() as connection:
                settled = receipts_of(connection, INTERNAL_LANE, waiting)
            waiting.difference_update(settled)
            outcomes.update(row.outcome for row in settled.values())
            advance(outcomes.total())
            if settled:
                last_progress = time.monotonic()
            elif time.monotonic() - last_progress > timeout:
                raise ReprocessStalled(
                    f"{len(waiting):,} documents wait on the internal lane, and no worker processes them"
                )
            if len(waiting) > limit:
                time.sleep(_PAUSE_SECONDS)

    for row, raw in matching_documents(engine, selection):
        wait_until_waiting(_MAX_WAITING)
        fields: dict[FieldT, EncodableT] = {
            "raw": raw,
            "source": row.source,
            "key": row.key,
            "revision": row.revision,
            "reprocess": PIPELINE_VERSION,
        }
        id_ = client.xadd(INTERNAL_LANE, fields)
        waiting.add(id_.decode() if isinstance(id_, bytes) else id_)
    wait_until_waiting(0)
    return outcomes
