"""The rows of documents that a batch writes. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from worker.store.decide.change_set import ChangeSet
from worker.store.decide.documents import DocumentChanges, KnownDocument
from worker.store.decide.stored import Row

_CONTENTLESS: Mapping[str, None] = {"article_hash": None, "content_hash": None, "form": None, "secured": None}


def write_documents(changes: DocumentChanges, writes: ChangeSet, now: datetime) -> None:
    """Write the documents that are new, have new content, have a new revision alone, or are retracted by their URL."""
    new, rewritten, moved, reached = list[Row](), list[Row](), list[Row](), list[Row]()
    for doc_hash in sorted(changes.documents):
        known = changes.documents[doc_hash]
        retraction = max(
            (known.row.url_retraction if known.row else None) or "", changes.url_retractions.get(doc_hash, "")
        )
        if not known.is_changed:
            if doc_hash in changes.retracted:
                reached.append({"id": known.id, "retracted": True, **_CONTENTLESS})
            continue
        row = {**_version_columns(known, now), "url_retraction": retraction or None}
        if known.row is not None and known.content is None and not known.state.retracted:
            moved.append(row)
            continue
        row |= {"form": known.content.form if known.content else None, "taxonomy": known.taxonomy}
        if known.row is None:
            new.append({**row, "doc_hash": doc_hash, "source": known.source, "key": known.key})
        else:
            rewritten.append(row)
    if new:
        writes.insert("documents", tuple(new[0]), [tuple(row.values()) for row in new])
    for rows in (rewritten, moved, reached):
        writes.update("documents", rows, ("id",))


def _version_columns(known: KnownDocument, now: datetime) -> Row:
    item = known.item
    return {
        "id": known.id,
        "revision": known.state.revision,
        "article_hash": known.state.article_hash,
        "retracted": known.state.retracted,
        "raw_sha256": item.sha256 if item else None,
        "fingerprint": item.fingerprint if item else None,
        "content_hash": known.state.content_hash,
        "pipeline_version": known.pipeline_version,
        "secured": known.secured,
        "changed_at": now,
    }
