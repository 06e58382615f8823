"""Retractions of a URL: each retracts its source's older documents that show the URL, whatever their key.

The newest retraction of each source and URL is stored with the document whose key is the URL
(`documents.url_retraction`). An older version that arrives later is decided by it (`identity.decide_outcome`);
documents that are stored already are found here. A transaction retracts a bounded number of documents, the newest
first; the rest becomes work (`apply/work.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from worker.enrichment.urls.canonical_urls import url_hash
from worker.store.apply.work import add_work
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.identity import DocumentState, retracted
from worker.store.sql.statements import fetch, set_values
from worker.store.tables import documents

STEP_DOCUMENTS = 1000
"""Documents that one transaction retracts at most."""

Place = tuple[str, bytes]
"""A source, and the hash of a URL."""


def retracted_urls(versions: Iterable[BatchItem]) -> dict[Place, str]:
    """Return the newest revision at which `versions` retract each URL of a source."""
    found: dict[Place, str] = {}
    for version in versions:
        place = _place(version)
        if place is not None:
            found[place] = max(found.get(place, ""), version.revision)
    return found


def _place(version: BatchItem) -> Place | None:
    key = version.doc_key or ""
    if version.op != "retract" or version.rejected or not key.startswith(("http://", "https://")):
        return None
    return version.source, url_hash(key)


class Retractions:
    """The retractions of URLs in one batch, and the documents that they retract."""

    def __init__(self, connection: Connection, versions: Iterable[BatchItem]) -> None:
        self._places = retracted_urls(versions)
        rows = _older(connection, self._places)
        self._unfinished = {(row.source, row.article_hash) for row in rows[STEP_DOCUMENTS:]}
        self._shown: dict[Place, dict[bytes, DocumentState]] = {}
        for row in rows[:STEP_DOCUMENTS]:
            shown = self._shown.setdefault((row.source, row.article_hash), {})
            shown[row.doc_hash] = DocumentState(row.revision, row.article_hash)
        self._newest: dict[bytes, tuple[Place, str]] = {}
        self._reached: set[bytes] = set()

    def put(self, source: str, doc_hash: bytes, state: DocumentState) -> None:
        """Note the new state of a document that this batch changed, so that a retraction in the same batch finds it."""
        if state.article_hash is not None and (source, state.article_hash) in self._places:
            self._shown.setdefault((source, state.article_hash), {})[doc_hash] = state

    def reach(self, version: BatchItem, doc_hash: bytes, states: dict[bytes, DocumentState]) -> list[bytes]:
        """Mark in `states` the older documents that `version` retracts; returns their hashes."""
        place = _place(version)
        if place is None:
            return []
        self._newest[doc_hash] = place, version.revision
        reached = []
        for one, shown in self._shown.get(place, {}).items():
            state = states.get(one, shown)
            if state.is_live and state.article_hash == place[1] and state.revision < version.revision:
                states[one] = retracted(state)
                reached.append(one)
        self._reached.update(reached)
        return reached

    def write(
        self, connection: Connection, written: Collection[bytes], stored: Mapping[bytes, Any], ids: Mapping[bytes, int],
        now: datetime,
    ) -> set[bytes]:  # fmt: skip
        """Write the retracted documents that are not among `written`, and the newest retraction of each URL.

        `stored`: the rows from before this batch; `ids`: those of the documents just written; both by doc_hash. Adds
        work for retractions that reach more documents. Returns the hashes of the documents that it wrote.
        """
        reached = self._reached - set(written)
        _write(connection, reached)
        rows = []
        for doc_hash, (_, revision) in sorted(self._newest.items()):
            before = (stored[doc_hash].url_retraction if doc_hash in stored else None) or ""
            rows.append({"doc_hash": doc_hash, "url_retraction": max(before, revision)})
        set_values(connection, documents, rows, "doc_hash")
        left = [
            ids.get(doc_hash) or stored[doc_hash].id
            for doc_hash, (place, _) in self._newest.items()
            if place in self._unfinished
        ]
        add_work(connection, "retract", left, now)
        return reached


def reach_more(connection: Connection, document_id: int) -> tuple[bytes, set[bytes], bool]:
    """Continue the retraction of the URL that is this document's key. Call it under the writer lock.

    Returns the URL's hash, the hashes of the documents that it retracted, and whether there are more.
    """
    columns = (documents.c.source, documents.c.key, documents.c.url_retraction)
    row = connection.execute(select(*columns).where(documents.c.id == document_id)).one()
    url = url_hash(row.key)
    rows = _older(connection, {(row.source, url): row.url_retraction})
    reached = {one.doc_hash for one in rows[:STEP_DOCUMENTS]}
    _write(connection, reached)
    return url, reached, len(rows) > STEP_DOCUMENTS


def _older(connection: Connection, places: Mapping[Place, str]) -> list[Any]:
    """Return live documents that show a URL of `places` and are older than its retraction there, the newest first."""
    columns = (
        documents.c.doc_hash,
        documents.c.source,
        documents.c.article_hash,
        documents.c.revision,
        documents.c.retracted,
    )
    rows = fetch(connection, columns, documents.c.article_hash, {url for _, url in places})
    found = [row for row in rows if not row.retracted and row.revision < places.get((row.source, row.article_hash), "")]
    return sorted(found, key=lambda row: row.revision, reverse=True)


def _write(connection: Connection, reached: Collection[bytes]) -> None:
    nothing = {"retracted": True, "article_hash": None, "content_hash": None, "form": None, "secured": None}
    set_values(connection, documents, [{"doc_hash": one, **nothing} for one in sorted(reached)], "doc_hash")
