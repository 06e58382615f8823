"""One batch, one transaction: documents, articles and what hangs on them, raw bytes, dead letters, receipts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.engine import Connection

from schemas.problem import Severity
from schemas.receipt import Outcome
from worker.enrich.copy import Copy, changed_fields, from_form, to_form
from worker.enrich.urls import document_hash
from worker.observe.failpoints import failpoint
from worker.store.articles import refresh
from worker.store.bulk import fetch, merge
from worker.store.engine import enter_writer
from worker.store.identity import Change, DocumentState, judge, revision
from worker.store.tables import articles, dead_letter_actions, dead_letters, documents, lanes, raw_documents, receipts
from worker.store.version import Version

_FUTURE_SECONDS = 86_400


def write_batch(
    connection: Connection,
    versions: Sequence[Version],
    *,
    read: Callable[[Version], None],
    worker: str,
    now: datetime,
    timings: dict[str, float],
) -> None:
    """Store `versions` and give each its outcome. The caller's transaction commits it all or nothing.

    A version that has a receipt already (a redelivery) keeps the outcome it had; where that receipt is another
    document's, the version `collides`, and nothing of it is stored. `read` parses a version that was taken
    for unchanged when its document turns out to have moved on meanwhile. Raises SQLAlchemy's errors.
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
    _store_documents(connection, [version for version in fresh if not version.rejected], now)
    failpoint("store.articles")
    _keep_dead(connection, [version for version in fresh if version.rejected], now)
    _conclude_replays(connection, fresh, worker, now)
    failpoint("store.dead_letters")
    timings["store"] = round((time.perf_counter() - began) * 1000 - timings["turn"], 2)
    _write_receipts(connection, fresh, worker=worker, now=now, timings=timings)
    failpoint("store.receipts")
    _raise_highest(connection, fresh, now)
    failpoint("store.complete")


def _keep_raw(connection: Connection, versions: Sequence[Version], now: datetime) -> None:
    rows = {
        version.sha256: {"sha256": version.sha256, "size": version.raw_size, "bytes": version.raw, "last_seen_at": now}
        for version in versions
        if version.sha256 is not None
    }
    merge(connection, raw_documents, [rows[digest] for digest in sorted(rows)], ["sha256"], ["last_seen_at"])


def _without_receipt(connection: Connection, versions: Sequence[Version]) -> list[Version]:
    columns = (receipts.c.lane, receipts.c.id, receipts.c.outcome, receipts.c.url, receipts.c.article_id, receipts.c.op,
               receipts.c.key, receipts.c.raw_sha256)  # fmt: skip
    ids = [version.id for version in versions]
    settled = {(row.lane, row.id): row for row in fetch(connection, columns, receipts.c.id, ids)}
    fresh = []
    for version in versions:
        row = settled.get((version.lane, version.id))
        if row is None:
            fresh.append(version)
        elif (row.op, row.key, row.raw_sha256) != (version.op, version.key, version.sha256):
            version.collides = True
        else:
            version.outcome, version.url, version.article_id = Outcome(row.outcome), row.url, row.article_id
    return fresh


def _confirm_recognised(connection: Connection, versions: list[Version], read: Callable[[Version], None]) -> None:
    """Read those versions whose document is no longer what they were compared with, or changes in this batch."""
    known = [version for version in versions if version.recognised is not None]
    if not known:
        return
    hashes = {
        id(version): document_hash(version.source, version.doc_key or "") for version in versions if version.doc_key
    }
    together = Counter(hashes.values())
    columns = (documents.c.doc_hash, documents.c.article_hash, documents.c.content_hash)
    wanted = [hashes[id(version)] for version in known]
    stored = {
        row.doc_hash: (row.article_hash, row.content_hash)
        for row in fetch(connection, columns, documents.c.doc_hash, wanted)
    }
    for version in known:
        doc_hash = hashes[id(version)]
        if together[doc_hash] > 1 or stored.get(doc_hash) != version.recognised:
            version.recognised = None
            read(version)


def _store_documents(connection: Connection, versions: list[Version], now: datetime) -> None:
    """Judge each version against its document, write the documents, then bring the articles up to date."""
    if not versions:
        return
    hashes = {id(version): document_hash(version.source, version.doc_key or "") for version in versions}
    stored = {row.doc_hash: row for row in fetch(connection, tuple(documents.c), documents.c.doc_hash, hashes.values())}
    states = {
        doc_hash: DocumentState(row.revision, row.article_hash, row.content_hash, row.retracted)
        for doc_hash, row in stored.items()
    }
    latest: dict[bytes, Version] = {}
    copies: dict[bytes, Copy] = {}
    touched: set[bytes] = set()
    for version in sorted(versions, key=lambda version: version.revision):
        doc_hash = hashes[id(version)]
        before = states.get(doc_hash, DocumentState())
        version.outcome, after = judge(before, _change(version))
        if version.copy is not None:
            version.url = version.copy.canonical_url
        if version.outcome is Outcome.SUPERSEDED:
            continue
        if version.outcome is Outcome.UPDATED and version.copy is not None:
            old = copies.get(doc_hash) or from_form(stored[doc_hash].form, None)
            version.changed = list(changed_fields(replace(old, secured=None), replace(version.copy, secured=None)))
        touched |= {h for h in (before.article_hash, after.article_hash) if h is not None}
        states[doc_hash], latest[doc_hash] = after, version
        if version.outcome in (Outcome.STORED, Outcome.UPDATED) and version.copy is not None:
            copies[doc_hash] = version.copy
        elif version.outcome is Outcome.RETRACTED:
            copies.pop(doc_hash, None)
    ids = _write_documents(connection, latest, states, copies, stored, now)
    by_id = {ids[doc_hash]: replace(copy, secured=_secured(latest[doc_hash])) for doc_hash, copy in copies.items()}
    failpoint("store.documents")
    article_ids = refresh(connection, touched, by_id, now)
    for version in versions:
        doc_hash = hashes[id(version)]
        version.document_id = ids.get(doc_hash) or (stored[doc_hash].id if doc_hash in stored else None)
        article_hash = states[doc_hash].article_hash if doc_hash in states else None
        version.article_id = article_ids.get(article_hash) if article_hash else None
    unread = {version.article_id for version in versions if version.recognised is not None} - {None}
    urls = {
        row.id: row.canonical_url
        for row in fetch(connection, (articles.c.id, articles.c.canonical_url), articles.c.id, unread)
    }
    for version in versions:
        version.url = version.url or urls.get(version.article_id)


def _change(version: Version) -> Change:
    if version.op == "retract":
        return Change(version.revision)
    if version.copy is not None:
        return Change(version.revision, version.copy.url_hash, version.copy.content_hash)
    return Change(version.revision, *(version.recognised or ()))


def _secured(version: Version) -> str | None:
    return version.copy.secured if version.copy is not None else version.secured


def _write_documents(
    connection: Connection,
    latest: dict[bytes, Version],
    states: dict[bytes, DocumentState],
    copies: dict[bytes, Copy],
    stored: dict[bytes, Any],
    now: datetime,
) -> dict[bytes, int]:
    rows = []
    for doc_hash in sorted(latest):
        version, state, old = latest[doc_hash], states[doc_hash], stored.get(doc_hash)
        copy = copies.get(doc_hash)
        recognised = version.recognised is not None
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
                "form": None if state.retracted else to_form(copy) if copy else old.form if old else None,
                "secured": None
                if state.retracted
                else _secured(version) or (old.secured if recognised and old else None),
                "changed_at": now,
            }
        )
    names = tuple(rows[0]) if rows else ()
    merge(connection, documents, rows, ["doc_hash"], [name for name in names if name != "doc_hash"])
    return {
        row.doc_hash: row.id
        for row in fetch(connection, (documents.c.doc_hash, documents.c.id), documents.c.doc_hash, latest)
    }


def _keep_dead(connection: Connection, versions: list[Version], now: datetime) -> None:
    rows = [
        {
            "lane": version.lane,
            "receipt_id": version.id,
            "op": version.op,
            "source": version.source,
            "key": version.key,
            "revision": version.revision,
            "raw_sha256": version.sha256,
            "code": _code(version),
            "problems": _problems(version),
            "status": "open",
            "edits": 0,
            "created_at": now,
        }
        for version in versions
        if version.dead_letter is None
    ]
    merge(connection, dead_letters, rows, ["lane", "receipt_id"])


def _conclude_replays(connection: Connection, versions: list[Version], worker: str, now: datetime) -> None:
    """A dead letter that passes is done; one that fails again stays open, with what is wrong with it now."""
    for version in versions:
        if version.dead_letter is None:
            continue
        letter = update(dead_letters).where(dead_letters.c.id == version.dead_letter)
        if version.rejected:
            connection.execute(letter.values(status="open", code=_code(version), problems=_problems(version)))
        else:
            connection.execute(letter.values(status="replayed"))
        verdict = "failed" if version.rejected else "passed"
        action = {"action": verdict, "who": worker, "at": now, "reason": str(version.outcome)}
        connection.execute(
            insert(dead_letter_actions).values(dead_letter_id=version.dead_letter, raw_sha256=version.sha256, **action)
        )


def _write_receipts(
    connection: Connection, versions: list[Version], *, worker: str, now: datetime, timings: dict[str, float]
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
            "problems": _problems(version),
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


def _raise_highest(connection: Connection, versions: list[Version], now: datetime) -> None:
    """Remember the highest id of each lane; one from the future (a producer may choose ids) does not count."""
    limit = revision(f"{int((now.timestamp() + _FUTURE_SECONDS) * 1000)}-0", "")
    highest: dict[str, str] = {}
    for version in versions:
        reached = revision(version.id, "")
        if reached < limit:
            highest[version.lane] = max(reached, highest.get(version.lane, ""))
    merge(connection, lanes, [{"name": name, "highest": ""} for name in sorted(highest)], ["name"])
    for name, reached in highest.items():
        lower = (lanes.c.name == name) & (lanes.c.highest < reached)
        connection.execute(update(lanes).where(lower).values(highest=reached))


def _code(version: Version) -> str:
    return next(problem.code for problem in version.problems if problem.severity is Severity.ERROR)


def _problems(version: Version) -> list[dict[str, Any]]:
    return [problem.model_dump(mode="json") for problem in version.problems]
