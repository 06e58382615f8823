"""Recognise documents that equal a stored one except for `secured`, by their fingerprint: they are not parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from worker.enrichment.urls.canonical_urls import document_hash, url_hash
from worker.store.batches.load_queries import TOKEN
from worker.store.batches.references import current_references
from worker.store.decide.batch_item import BatchItem
from worker.store.sql.flights import flights
from worker.store.sql.query import Query
from worker.store.tables import documents

_SMALL_DOCUMENTS, _SMALL_BYTES = 4, 32_768
_MOST_ALIKE = 20
"""Documents with equal bytes among which a document without a key is looked for. If it is not there, it is parsed."""


class _KnownDocument(NamedTuple):
    doc_hash: bytes
    source: str
    key: str
    article_hash: bytes
    content_hash: bytes
    fingerprint: bytes
    raw_sha256: bytes | None


_BY_DOC_HASH = Query(
    _KnownDocument,
    "WITH w(doc_hash, fingerprint) AS ({table keyed})"
    f" SELECT {', '.join('d.' + name for name in _KnownDocument._fields)} FROM w"
    " JOIN documents d ON d.doc_hash = w.doc_hash AND d.fingerprint = w.fingerprint WHERE NOT d.retracted",
    {"keyed": (documents.c.doc_hash, documents.c.fingerprint)},
)
_BY_FINGERPRINT = Query(
    _KnownDocument,
    "WITH w(source, fingerprint) AS ({table keyless})"
    f" SELECT {', '.join('d.' + name for name in _KnownDocument._fields)} FROM w"
    " JOIN documents d ON d.id = (SELECT q.id FROM (SELECT x.id, x.source, x.key, x.retracted FROM documents x"
    f" WHERE x.fingerprint = w.fingerprint LIMIT {_MOST_ALIKE}) q"
    " WHERE q.source = w.source AND NOT q.retracted AND substr(q.key, 1, 4) = 'http' LIMIT 1)",
    {"keyless": (documents.c.source, documents.c.fingerprint)},
)


def is_small(items: Sequence[BatchItem]) -> bool:
    """Return whether reading the documents of a batch takes less time than asking the store about them."""
    return len(items) <= _SMALL_DOCUMENTS and sum(item.raw_size for item in items) <= _SMALL_BYTES


def recognise(engine: Engine, puts: Sequence[BatchItem]) -> None:
    """Set `doc_key`, `recognised` and `is_raw_stored` of those of `puts` that equal a stored document except for `secured`.

    It looks up the keys that the batch brings: any number of documents may have the same bytes under other keys. It also
    brings this process's references up to date, which then need not be read under the writer lock. Raises SQLAlchemy's
    errors.
    """
    keyed = {(_identity(item), item.fingerprint) for item in puts if item.doc_key is not None}
    keyless = {(item.source, item.fingerprint) for item in puts if item.doc_key is None}
    with flights(engine, reads_only=True) as transaction:
        by_doc_hash = transaction.fetch(_BY_DOC_HASH, {"keyed": keyed})
        by_fingerprint = transaction.fetch(_BY_FINGERPRINT, {"keyless": keyless})
        tokens = transaction.fetch(TOKEN, {})
        transaction.send()
        current_references(engine, transaction, tokens.rows[0].value if tokens.rows else None)
        transaction.commit()
    stored: dict[tuple[bytes | str, bytes | None], _KnownDocument] = {
        (row.source, row.fingerprint): row
        for row in by_fingerprint.rows
        if url_hash(row.key) == row.article_hash  # without a key, a document's URL is its key
    }
    stored |= {(row.doc_hash, row.fingerprint): row for row in by_doc_hash.rows}
    for item in puts:
        row = stored.get((_identity(item), item.fingerprint))
        if row is not None:
            item.doc_key = row.key
            item.recognised = (row.article_hash, row.content_hash)
            item.is_raw_stored = row.raw_sha256 == item.sha256


def _identity(item: BatchItem) -> bytes | str:
    """Return what is known of the document before it is read: its identity, without a key only its source."""
    return document_hash(item.source, item.doc_key) if item.doc_key is not None else item.source
