"""Fill a PostgreSQL store by SQL: one document is stored by the pipeline, and its rows are copied many times.

Each copy is a document and an article of its own, with the hashes that the pipeline would compute, so the filled store
is consistent (`copydesk db check`) and later batches can change all of it. 300,000 copies take about half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Engine

from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed

SOURCE = "filled"
_FIRST_MS = 1_500_000_000_000  # the ids of copied entries; those of tests and benchmarks are later
NAMED = "https://named.example/story"
CLAIMED = "https://claimed.example/story"
SAME = "https://same.example/story"

_URL = "'https://filled.example/' || n"
_URL_HASH = f"substr(sha256(convert_to({_URL}, 'UTF8')), 1, 16)"
_KEY = "'copy-' || n || '.md'"
_REVISION = f"lpad(({_FIRST_MS} + n)::text, 20, '0') || '-' || repeat('0', 20) || ':documents'"


def _keyed_hash(kind: str) -> str:
    """Return SQL for `canonical_urls.document_hash` or `article_hash_for_key` of a copy."""
    head = f"{kind}\0{len(SOURCE)}\0{SOURCE}\0".encode().hex()
    return f"substr(sha256('\\x{head}'::bytea || convert_to({_KEY}, 'UTF8')), 1, 16)"


def document(lines: str = "", *, url: str | None = "https://filled.example/0") -> bytes:
    """Return the document that is copied. `lines`: more of its front matter."""
    where = f"webUrl: {url}\n" if url else ""
    return (f"---\ntitle: A title\nexcerpt: {'Some words of an excerpt. ' * 6}\npublishedDateTime: 2020-05-01T10:00:00Z\n{where}"
            f"type: article\nquality: 50\nprovider:\n  name: Filled\n  domain: filled.example\ntopics:\n  - News\n{lines}---\n").encode()  # fmt: skip


def naming(*urls: str) -> str:
    """Return the front matter that names URLs as related articles."""
    return "related:\n" + "".join(f"  - title: About {url}\n    webUrl: {url}\n    quality: 60\n" for url in urls)


def fill(engine: Engine, url: str, raw: bytes, copies: int, *, same_bytes: bool = False) -> None:
    """Store `raw` under the key `copy-0.md` and copy its rows `copies` times. All copies are live.

    If `raw` has a URL and `same_bytes` is false, each copy has the URL `https://filled.example/N`. With `same_bytes` the
    copies differ in nothing but their keys: with a URL they describe the same article, without one each its own.
    """
    entry = Claimed(f"{_FIRST_MS}-0", 0, len(raw), {b"raw": raw, b"source": SOURCE.encode(), b"key": b"copy-0.md"},
                    truncated=False)  # fmt: skip
    (item,) = process(engine, Batch("documents", None, "filling", 3, Limits()), [entry], end_attempt=lambda: None)
    assert str(item.outcome) == "stored", item.problems
    has_url = b"\nwebUrl: " in raw
    unchecked = "-c session_replication_role=replica -c statement_timeout=0"
    with psycopg.connect(url, options=unchecked, autocommit=True) as connection:
        _Copier(connection, copies, item.document_id, item.article_id).copy(
            one_article=same_bytes and has_url, own_url=has_url and not same_bytes, same_bytes=same_bytes
        )
        connection.execute("VACUUM ANALYZE")


class _Copier:
    def __init__(self, connection: psycopg.Connection[Any], copies: int, document: int, article: int) -> None:
        self._connection, self._copies, self._document, self._article = connection, copies, document, article
        self._first_document, self._first_article = (self._next_id(table) for table in ("documents", "articles"))

    def _next_id(self, table: str) -> int:
        row = self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])

    def copy(self, *, one_article: bool, own_url: bool, same_bytes: bool) -> None:
        article_id = str(self._article) if one_article else f"{self._first_article} + n"
        document_id = f"{self._first_document} + n"
        article_hash = _URL_HASH if own_url else _keyed_hash("article")
        content = {} if same_bytes else {"fingerprint": "substr(sha256(('print' || n)::bytea), 1, 16)"}
        raw = {} if same_bytes else {"raw_sha256": "sha256(('raw' || n)::bytea)"}
        own = {} if one_article else {"article_hash": article_hash, "form": self._form(article_hash, own_url=own_url)}
        self._rows("documents", {"id": document_id, "key": _KEY, "doc_hash": _keyed_hash("document"), "revision": _REVISION,
                                 **content, **raw, **own}, f"id = {self._document}")  # fmt: skip
        if raw:
            self._rows("raw_documents", {"sha256": raw["raw_sha256"]},
                       f"sha256 = (SELECT raw_sha256 FROM documents WHERE id = {self._document})")  # fmt: skip
        self._rows("receipts", {"id": f"({_FIRST_MS} + n) || '-0'", "key": _KEY, "document_id": document_id,
                                "article_id": article_id, **raw, **({"url": _URL} if own_url else {})},
                   f"document_id = {self._document}")  # fmt: skip
        if one_article:
            self._connection.execute(f"UPDATE articles SET document_id = {self._first_document} + {self._copies}, "
                                     f"revision = (SELECT {_REVISION} FROM (SELECT {self._copies} AS n) AS one) "
                                     f"WHERE id = {self._article}")  # fmt: skip
        else:
            self._articles(article_id, document_id, article_hash, own_url=own_url)
        for table in ("documents", "articles"):
            self._connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )

    def _articles(self, article_id: str, document_id: str, article_hash: str, *, own_url: bool) -> None:
        url = {"canonical_url": _URL} if own_url else {}
        self._rows("articles", {"id": article_id, "url_hash": article_hash, "document_id": document_id, "revision": _REVISION,
                                "published_at": "published_at + n * interval '1 second'", "link_state": "'done'",
                                "lead_id": f"CASE WHEN lead_id = {self._article} THEN {article_id} ELSE lead_id END", **url},
                   f"id = {self._article}")  # fmt: skip
        self._rows("article_urls", {"article_id": article_id, **({"url_hash": _URL_HASH, "url": _URL} if own_url else {})},
                   f"article_id = {self._article} AND claim = 'web'")  # fmt: skip
        self._rows("article_urls", {"article_id": article_id}, f"article_id = {self._article} AND claim <> 'web'")
        for table, column in (("article_topics", "article_id"), ("images", "article_id"), ("links", "source_id")):
            self._rows(table, {column: article_id}, f"{column} = {self._article}")
        # A stub shows the newest entry that names it: that of the last copy.
        self._connection.execute(f"UPDATE articles SET named_by = {self._first_article} + {self._copies}, "
                                 f"revision = (SELECT {_REVISION} FROM (SELECT {self._copies} AS n) AS one) "
                                 f"WHERE is_stub AND named_by = {self._article}")  # fmt: skip

    def _form(self, article_hash: str, *, own_url: bool) -> str:
        """Return SQL for the form of a copy: with its own URL and hash."""
        row = self._connection.execute(
            f"SELECT encode(article_hash, 'hex') FROM documents WHERE id = {self._document}"
        ).fetchone()
        assert row is not None
        form = f"replace(form, '{row[0]}', encode({article_hash}, 'hex'))"
        return f"replace({form}, 'https://filled.example/0', {_URL})" if own_url else form

    def _rows(self, table: str, changed: Mapping[str, str], where: str) -> None:
        """Copy the rows of `table` that match `where`, with the columns `changed` computed from the copy's number n."""
        columns = [row[0] for row in self._connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'", (table,))]  # fmt: skip
        chosen = ", ".join(changed.get(name, f't."{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        aliased = chosen.replace("replace(form", "replace(t.form").replace("published_at +", "t.published_at +")
        self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {aliased} FROM "
                                 f"(SELECT * FROM {table} WHERE {where}) t, generate_series(1, {self._copies}) n")  # fmt: skip
