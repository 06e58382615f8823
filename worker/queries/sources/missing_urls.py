"""What became of the documents of given URLs: known, retracted, rejected, or never came."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import LargeBinary, Row, Select, func, select
from sqlalchemy.engine import Connection

from worker.enrichment.urls.canonical_urls import canonicalise, url_hash
from worker.store.sql.statements import fetch, fetch_where
from worker.store.tables import article_urls, articles, dead_letters, documents, raw_documents, receipts

State = Literal["known", "retracted", "rejected", "missing"]
_PAGE = 200
TEXT_BEGINNING = func.substr(raw_documents.c.bytes, 1, 1 << 16, type_=LargeBinary).label("bytes")
"""The first 64 kB of a raw document, in which `urls_of` looks for URLs. A document may have a megabyte."""
_URL_FIELD = re.compile(rb"^\w*url\s*:\s*[\"']?(https?://[^\s\"']+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class UrlState:
    """What became of one URL. `article`: its number; `is_named`: no document came, but others name the URL.

    `code` and `dead_letter`: of the newest rejected document.
    """

    url: str
    state: State
    article: int | None = None
    is_named: bool = False
    code: str | None = None
    dead_letter: int | None = None


def states_of(connection: Connection, urls: Sequence[str]) -> list[UrlState]:
    """Return the state of each URL, in their order. A document that was accepted counts before one that was rejected.

    It reads all dead letters if a URL is not known. Raises SQLAlchemy's errors.
    """
    hashes = {url: url_hash(canonicalise(url)) for url in urls}
    known, stubs, retracted = _articles(connection, list(hashes.values()))
    open_ = {hash_ for hash_ in hashes.values() if hash_ not in known}
    rejected = dict(_rejected(connection, open_)) if open_ else {}
    return [_state(url, hash_, known, stubs, retracted, rejected) for url, hash_ in hashes.items()]


def _state(
    url: str,
    hash_: bytes,
    known: dict[bytes, int],
    stubs: set[bytes],
    retracted: set[bytes],
    rejected: dict[bytes, tuple[str, int]],
) -> UrlState:
    if hash_ in known:
        return UrlState(url, "known", known[hash_])
    if hash_ in rejected:
        code, number = rejected[hash_]
        return UrlState(url, "rejected", is_named=hash_ in stubs, code=code, dead_letter=number)
    return UrlState(url, "retracted" if hash_ in retracted else "missing", is_named=hash_ in stubs)


def _articles(connection: Connection, hashes: Sequence[bytes]) -> tuple[dict[bytes, int], set[bytes], set[bytes]]:
    """Return hash → article for URLs that an article has or claims, the hashes that others name, and the retracted ones."""
    columns = (articles.c.url_hash, articles.c.id, articles.c.is_stub, articles.c.document_id, articles.c.orphaned_at)
    rows = fetch(connection, columns, articles.c.url_hash, hashes)
    empty = {row.id: bytes(row.url_hash) for row in rows if row.is_stub or row.document_id is None}
    stubs = {bytes(row.url_hash) for row in rows if row.is_stub and row.orphaned_at is None}
    # An article that no document describes any more knows its former documents by their receipts only.
    of_article = fetch(connection, (receipts.c.article_id, receipts.c.document_id), receipts.c.article_id, empty)
    before = {row.document_id: empty[row.article_id] for row in of_article if row.document_id is not None}
    tombstones = fetch_where(connection, (documents.c.id,), documents.c.id, before, documents.c.retracted)
    retracted = {before[row.id] for row in tombstones}
    known = {bytes(row.url_hash): row.id for row in rows if not row.is_stub and row.document_id is not None}
    aliases = fetch(connection, (article_urls.c.url_hash, article_urls.c.article_id), article_urls.c.url_hash, hashes)
    for row in aliases:
        known.setdefault(bytes(row.url_hash), row.article_id)
    return known, stubs - set(known), retracted


def _rejected(connection: Connection, hashes: set[bytes]) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """Yield the hash of each URL of `hashes` that a dead letter is about, with its code and number; the newest last."""
    after = 0
    while rows := connection.execute(_dead_letters(after)).all():
        after = rows[-1].id
        for row in rows:
            for url in urls_of(row):
                hash_ = url_hash(canonicalise(url))
                if hash_ in hashes:
                    yield hash_, (row.code, row.id)


def _dead_letters(after: int) -> Select[Any]:
    table = dead_letters.c
    receipt = (receipts.c.lane == table.lane) & (receipts.c.id == table.receipt_id)
    raw = raw_documents.c.sha256 == table.raw_sha256
    columns = (table.id, table.code, table.key, receipts.c.url, TEXT_BEGINNING)
    joined = dead_letters.outerjoin(receipts, receipt).outerjoin(raw_documents, raw)
    where = (table.id > after, table.op == "put", table.status != "replayed")
    return select(*columns).select_from(joined).where(*where).order_by(table.id).limit(_PAGE)


def urls_of(row: Row[Any]) -> Iterator[str]:
    """Yield the URLs of a rejected document: of its receipt, its key, or its `TEXT_BEGINNING`, which may not be readable as YAML."""
    if row.url:
        yield row.url
    if row.key and row.key.startswith(("http://", "https://")):
        yield row.key
    for match in _URL_FIELD.finditer(bytes(row.bytes or b"")):
        yield match[1].decode("utf-8", "replace")


__all__ = ["State", "UrlState", "states_of", "urls_of"]
