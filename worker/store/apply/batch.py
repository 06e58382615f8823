"""Write one batch in one transaction: documents, articles with their child rows, raw bytes, dead letters, receipts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection

from schemas.problem import problem
from schemas.receipt import Outcome
from worker.enrichment.document_json import document_from_json, document_to_json
from worker.enrichment.enriched_document import EnrichedDocument, changed_fields
from worker.enrichment.reference_documents import (
    ReferenceCopy,
    changed_reference_fields,
    reference_from_form,
    reference_to_form,
)
from worker.enrichment.urls.canonical_urls import document_hash, url_hash
from worker.heat_rules import AllRules
from worker.store.apply.articles import refresh
from worker.store.apply.heat import compare_heat
from worker.store.apply.provider_references import Subject, refresh_references
from worker.store.apply.retractions import Retractions, retracted_urls
from worker.store.dead_letters import conclude_replays, keep_dead, problems_of
from worker.store.decide.article_rows import PIPELINE_VERSION
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.identity import DocumentChange, DocumentState, decide_outcome, revision
from worker.store.engine import enter_writer
from worker.store.sql.statements import fetch, fetch_where, merge, merge_ids
from worker.store.tables import articles, documents, raw_documents, receipts
from worker.telemetry.failpoints import failpoint

_FUTURE_SECONDS = 86_400
_RAISE = text(
    "INSERT INTO lanes (name, highest) VALUES (:name, :highest)"
    " ON CONFLICT (name) DO UPDATE SET highest = EXCLUDED.highest WHERE lanes.highest < EXCLUDED.highest"
)

Content = EnrichedDocument | ReferenceCopy
"""The content of a document after enrichment."""


def write_batch(
    connection: Connection,
    versions: Sequence[BatchItem],
    *,
    read: Callable[[BatchItem], None],
    worker: str,
    now: datetime,
    timings: dict[str, float],
    rules: AllRules | None = None,
) -> None:
    """Store `versions` and set the outcome of each. The caller's transaction commits all of it or nothing.

    A version that already has a receipt (a redelivery) keeps the outcome of that receipt. If the receipt belongs to
    another document, `id_conflict` is set and nothing of the version is stored. `read` parses a recognised version
    whose stored document has changed since it was recognised. `timings` gets the stages `turn` (writing raw bytes and
    waiting for the writer lock) and `store` (the rest up to the receipts), in milliseconds. The function takes the
    writer lock itself. Raises SQLAlchemy's errors.
    """
    began = time.perf_counter()
    _keep_raw(connection, versions, now)
    failpoint("store.raw")
    enter_writer(connection)
    failpoint("store.turn")
    timings["turn"] = round((time.perf_counter() - began) * 1000, 2)
    fresh = _without_receipt(connection, versions)
    _confirm_recognised(connection, fresh, read)
    for version in fresh:
        if version.rejected:
            version.outcome = Outcome.REJECTED
    _store_documents(connection, [version for version in fresh if not version.rejected], now, rules or AllRules())
    failpoint("store.articles")
    keep_dead(connection, [version for version in fresh if version.rejected], now)
    conclude_replays(connection, fresh, worker, now)
    failpoint("store.dead_letters")
    timings["store"] = round((time.perf_counter() - began) * 1000 - timings["turn"], 2)
    _write_receipts(connection, fresh, worker=worker, now=now, timings=timings)
    failpoint("store.receipts")
    _raise_highest(connection, fresh, now)
    failpoint("store.complete")


def _keep_raw(connection: Connection, versions: Sequence[BatchItem], now: datetime) -> None:
    rows = {
        version.sha256: {"sha256": version.sha256, "size": version.raw_size, "bytes": version.raw, "last_seen_at": now}
        for version in versions
        if version.sha256 is not None
    }
    merge(connection, raw_documents, [rows[digest] for digest in sorted(rows)], ["sha256"], ["last_seen_at"])


def _without_receipt(connection: Connection, versions: Sequence[BatchItem]) -> list[BatchItem]:
    columns = (receipts.c.lane, receipts.c.id, receipts.c.outcome, receipts.c.url, receipts.c.article_id, receipts.c.op,
               receipts.c.key, receipts.c.raw_sha256)  # fmt: skip
    ids = [version.id for version in versions]
    # The primary key begins with the lane. Without a condition on the lane SQLite scans all receipts for every batch.
    on = receipts.c.lane.in_(sorted({version.lane for version in versions}))
    settled = {(row.lane, row.id): row for row in fetch_where(connection, columns, receipts.c.id, ids, on)}
    fresh = []
    for version in versions:
        row = settled.get((version.lane, version.id))
        if row is None:
            fresh.append(version)
        elif (row.op, row.key, row.raw_sha256) != (version.op, version.key, version.sha256):
            version.id_conflict = True
        else:
            version.outcome, version.url, version.article_id = Outcome(row.outcome), row.url, row.article_id
    return fresh


def _confirm_recognised(connection: Connection, versions: list[BatchItem], read: Callable[[BatchItem], None]) -> None:
    """Parse each recognised version whose stored document has changed since, or that this batch may change."""
    known = [version for version in versions if version.recognised is not None]
    if not known:
        return
    hashes = {
        id(version): document_hash(version.source, version.doc_key or "") for version in versions if version.doc_key
    }
    together = Counter(hashes.values())
    retracted = retracted_urls(versions)
    columns = (documents.c.doc_hash, documents.c.article_hash, documents.c.content_hash)
    wanted = [hashes[id(version)] for version in known]
    stored = {
        row.doc_hash: (row.article_hash, row.content_hash)
        for row in fetch(connection, columns, documents.c.doc_hash, wanted)
    }
    for version in known:
        doc_hash = hashes[id(version)]
        shown = version.recognised[0] if version.recognised else None
        if together[doc_hash] > 1 or stored.get(doc_hash) != version.recognised or (version.source, shown) in retracted:
            version.recognised = None
            read(version)


def _store_documents(connection: Connection, versions: list[BatchItem], now: datetime, rules: AllRules) -> None:
    """Decide the outcome of each version, write the documents, then update the articles that they describe."""
    if not versions:
        return
    hashes = {id(version): document_hash(version.source, version.doc_key or "") for version in versions}
    # The documents whose `url_retraction` holds the source's retraction of the version's URL. A recognised version
    # needs none: its document is live, so its URL is not retracted.
    by_url = {id(version): document_hash(version.source, version.copy.canonical_url) for version in versions
            if version.copy is not None and version.copy.canonical_url}  # fmt: skip
    wanted = [*hashes.values(), *by_url.values()]
    stored = {row.doc_hash: row for row in fetch(connection, tuple(documents.c), documents.c.doc_hash, wanted)}
    retractions = Retractions(connection, versions)
    states = {
        doc_hash: DocumentState(row.revision, row.article_hash, row.content_hash, row.retracted)
        for doc_hash, row in stored.items()
    }
    latest: dict[bytes, BatchItem] = {}
    contents: dict[bytes, Content] = {}
    touched: set[bytes] = set()
    subjects = {row.article_hash: _subject(reference_from_form(row.form)) for row in stored.values()
                if row.taxonomy and row.article_hash}  # fmt: skip
    for version in sorted(versions, key=lambda version: version.revision):
        doc_hash = hashes[id(version)]
        before = states.get(doc_hash, DocumentState())
        at_url = stored.get(by_url.get(id(version), b""))
        version.outcome, after = decide_outcome(
            before, _change(version), (at_url.url_retraction if at_url else None) or ""
        )
        if version.copy is not None:
            version.url = version.copy.canonical_url
        if version.op == "retract":
            hidden = retractions.reach(version, doc_hash, states)
            for one in hidden:
                contents.pop(one, None)
            if hidden:
                touched.add(url_hash(version.doc_key or ""))
                version.outcome = Outcome.RETRACTED
            elif version.outcome is Outcome.RETRACTED and not before.is_live:
                version.problems = (
                    *version.problems,
                    problem("nothing_to_retract", field="key", value=version.doc_key),
                )
        if after is before:
            continue
        content = version.copy or version.reference
        if version.reference is not None:
            subjects[version.reference.url_hash] = _subject(version.reference)
        if version.outcome is Outcome.UPDATED and content is not None:
            version.changed = _changed(contents.get(doc_hash) or _stored_content(stored[doc_hash]), content)
        touched |= {h for h in (before.article_hash, after.article_hash) if h is not None}
        states[doc_hash], latest[doc_hash] = after, version
        retractions.put(version.source, doc_hash, after)
        if after.retracted:
            contents.pop(doc_hash, None)
        elif content is not None and (version.outcome is not Outcome.UNCHANGED or version.reprocessed):
            contents[doc_hash] = content
    ids = _write_documents(connection, latest, states, contents, stored, now)
    reached = retractions.write(connection, latest.keys(), stored, ids, now)
    by_id = {
        ids[doc_hash]: replace(content, secured=_secured(latest[doc_hash]))
        for doc_hash, content in contents.items()
        if isinstance(content, EnrichedDocument)
    }
    failpoint("store.documents")
    # Items of collections name documents and link to the article that the document describes: resolve them again.
    moved = {h for h in latest if h not in stored or stored[h].article_hash != states[h].article_hash} | reached
    refresh_references(connection, {h: subjects[h] for h in touched & subjects.keys()}, now)
    article_ids, heats = refresh(
        connection, touched - subjects.keys(), by_id, now, rules=rules, documents=moved
    )  # fmt: skip
    for version in versions:
        doc_hash = hashes[id(version)]
        version.document_id = ids.get(doc_hash) or (stored[doc_hash].id if doc_hash in stored else None)
        article_hash = states[doc_hash].article_hash if doc_hash in states else None
        version.article_id = article_ids.get(article_hash) if article_hash else None
        compare_heat(version, heats, rules)
    unread = {version.article_id for version in versions if version.recognised is not None} - {None}
    urls = {
        row.id: row.canonical_url
        for row in fetch(connection, (articles.c.id, articles.c.canonical_url), articles.c.id, unread)
    }
    for version in versions:
        version.url = version.url or urls.get(version.article_id)


def _subject(reference: ReferenceCopy) -> Subject:
    return reference.taxonomy, reference.subject


def _stored_content(row: Any) -> Content:
    return reference_from_form(row.form) if row.taxonomy else document_from_json(row.form, None)


def _changed(old: Content, new: Content) -> list[str]:
    """Return the names of the fields that an update changed."""
    if isinstance(old, EnrichedDocument) and isinstance(new, EnrichedDocument):
        return changed_fields(replace(old, secured=None), replace(new, secured=None))
    if isinstance(old, ReferenceCopy) and isinstance(new, ReferenceCopy):
        return changed_reference_fields(old, new)
    return ["taxonomy"]


def _change(version: BatchItem) -> DocumentChange:
    if version.op == "retract":
        return DocumentChange(version.revision)
    content = version.copy or version.reference
    if content is not None:
        return DocumentChange(version.revision, content.url_hash, content.content_hash)
    return DocumentChange(version.revision, *(version.recognised or ()))


def _form(content: Content) -> str:
    return (
        (content.form or document_to_json(content))
        if isinstance(content, EnrichedDocument)
        else reference_to_form(content)
    )


def _secured(version: BatchItem) -> str | None:
    return version.copy.secured if version.copy is not None else version.secured


def _write_documents(
    connection: Connection,
    latest: dict[bytes, BatchItem],
    states: dict[bytes, DocumentState],
    contents: dict[bytes, Content],
    stored: dict[bytes, Any],
    now: datetime,
) -> dict[bytes, int]:
    rows = []
    for doc_hash in sorted(latest):
        version, state, old = latest[doc_hash], states[doc_hash], stored.get(doc_hash)
        content = contents.get(doc_hash)
        secured = _secured(version) or (old.secured if version.recognised is not None and old else None)
        rows.append(
            {
                "doc_hash": doc_hash,
                "source": version.source,
                "key": version.doc_key or "",
                "revision": state.revision,
                "article_hash": state.article_hash,
                "retracted": state.retracted,
                "raw_sha256": version.sha256,
                "fingerprint": version.fingerprint,
                "content_hash": state.content_hash,
                "form": None if state.retracted else _form(content) if content else old.form if old else None,
                "taxonomy": getattr(content, "taxonomy", None) if content or not old else old.taxonomy,
                "pipeline_version": PIPELINE_VERSION if content or not old else old.pipeline_version,
                "secured": None if state.retracted else secured,
                "changed_at": now,
            }
        )
    names = tuple(rows[0]) if rows else ()
    return merge_ids(connection, documents, rows, "doc_hash", [name for name in names if name != "doc_hash"])


def _write_receipts(
    connection: Connection, versions: list[BatchItem], *, worker: str, now: datetime, timings: dict[str, float]
) -> None:
    rows = [
        {
            "lane": version.lane,
            "id": version.id,
            "outcome": str(version.outcome),
            "op": version.op,
            "source": version.source,
            "key": version.key,
            "url": version.url,
            "article_id": version.article_id,
            "document_id": version.document_id,
            "raw_sha256": version.sha256,
            "problems": problems_of(version),
            "changed": version.changed,
            "received_at": version.received_at,
            "settled_at": now,
            "worker": worker,
            "attempts": version.attempts + 1,
            "trace_id": version.trace_id,
            "timings": timings,
        }
        for version in versions
    ]
    merge(connection, receipts, rows, ["lane", "id"])


def _raise_highest(connection: Connection, versions: list[BatchItem], now: datetime) -> None:
    """Store the highest id of each lane.

    Ids over a day in the future do not count, because a producer may choose ids.
    """
    limit = revision(f"{int((now.timestamp() + _FUTURE_SECONDS) * 1000)}-0", "")
    highest: dict[str, str] = {}
    for version in versions:
        reached = revision(version.id, "")
        if reached < limit:
            highest[version.lane] = max(reached, highest.get(version.lane, ""))
    for name in sorted(highest):
        connection.execute(_RAISE, {"name": name, "highest": highest[name]})
