"""The upper limit: two processes that only parse documents and store the rows of the peers, without a queue or any
guarantee.

They use libyaml's events, the peers' pydantic model, COPY into a temporary table and one merge for each table. With
`start(…, keep=True)` they also store each document's raw bytes and a receipt, in the same transaction.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import yaml
from pydantic import ValidationError
from yaml.cyaml import CParser
from yaml.events import (
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from tests.benchmarks.peers import model
from tests.benchmarks.peers.batches import collect_less

BATCH = 200
_MATTER = re.compile(r"---\s*\n(.*?)\n---\s*\n(.*)", re.DOTALL)
_DESCRIBED = ("kind", "title", "excerpt", "published_at", "quality", "amp_url", "cdn_amp_url")
_OWN = (*_DESCRIBED, "category", "heat", "published", "secured")

_MERGES = {
    "providers": (("domain", "name"), "ON CONFLICT DO NOTHING"),
    "topics": (("name",), "ON CONFLICT DO NOTHING"),
    "articles": (
        ("url", "is_stub", "body", "provider_id", *_OWN),
        "ON CONFLICT (url) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in ("is_stub", "body", "provider_id", *_OWN))
        + " WHERE NOT excluded.is_stub",
    ),
}


_STALE = (
    "DELETE FROM links WHERE source_id = ANY(%s)",
    "DELETE FROM article_topics WHERE article_id = ANY(%s)",
    "DELETE FROM images WHERE article_id = ANY(%s)",
)
_KEPT = """
CREATE TABLE IF NOT EXISTS raw_documents (sha256 bytea PRIMARY KEY, raw bytea NOT NULL);
ALTER TABLE raw_documents ALTER raw SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS receipts (id bigint PRIMARY KEY, sha256 bytea NOT NULL, received_at timestamptz NOT NULL);
"""
_READY_SECONDS = 60


def mapping(text: str) -> Any:
    """Build the mapping from events, with values as text: no tags, no anchors, no limits."""
    get_event = CParser(text).get_event
    stack: list[Any] = []
    node: Any = None
    key: Any = None
    while True:
        event = get_event()
        kind = type(event)
        if kind is ScalarEvent:
            if type(node) is dict:
                if key is None:
                    key = event.value
                    continue
                node[key] = event.value
                key = None
            else:
                node.append(event.value)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            stack.append((node, key))
            node, key = {} if kind is MappingStartEvent else [], None
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            value = node
            node, key = stack.pop()
            if type(node) is dict:
                node[key] = value
                key = None
            elif node is not None:
                node.append(value)
            else:
                node = value
        elif kind is DocumentEndEvent:
            return node


def read(raws: Iterable[bytes]) -> list[tuple[model.Document, str]]:
    documents = {}
    for raw in raws:
        try:
            matter = _MATTER.match(raw.decode())
            if matter is None:
                continue
            document = model.Document.model_validate(mapping(matter[1]))
        except (yaml.YAMLError, ValidationError):
            continue
        documents[document.url] = (document, matter[2])
    return list(documents.values())


def store(cursor: psycopg.Cursor, documents: list[tuple[model.Document, str]]) -> None:
    own = {document.url for document, _ in documents}
    stubs = {other.url: other for document, _ in documents for other in document.related if other.url not in own}
    described: list[model.Described] = [*(document for document, _ in documents), *stubs.values()]
    providers = {one.provider.domain: one.provider.name for one in described if one.provider}
    provider_ids = _merge(cursor, "providers", sorted(providers.items()))
    names = {name for document, _ in documents for name in document.topics}
    topic_ids = _merge(cursor, "topics", [(name,) for name in sorted(names)])

    def row(one: model.Described, body: str | None, names: Sequence[str]) -> tuple[Any, ...]:
        provider = provider_ids[one.provider.domain] if one.provider else None
        return (
            one.url,
            body is None,
            body,
            provider,
            *(getattr(one, name) for name in names),
            *[None] * (len(_OWN) - len(names)),
        )

    rows = [row(document, body, _OWN) for document, body in documents] + [
        row(one, None, _DESCRIBED) for one in stubs.values()
    ]
    known = dict(cursor.execute("SELECT url, id FROM articles WHERE url = ANY(%s)", ([*stubs, *own],)).fetchall())
    stale = [known[url] for url in own & known.keys()]
    for statement in _STALE if stale else ():
        cursor.execute(statement, (stale,))
    ids = _merge(cursor, "articles", sorted(rows, key=lambda row: row[0]))
    for document, _ in documents:
        stubs.pop(document.url, None)
    _copy(cursor, "links", ("source_id", "target_id", "rank"),
          [(ids[d.url], ids[other.url], rank) for d, _ in documents for rank, other in enumerate(d.related)])  # fmt: skip
    _copy(cursor, "article_topics", ("article_id", "topic_id"),
          [(ids[d.url], topic_ids[name]) for d, _ in documents for name in set(d.topics)])  # fmt: skip
    shown = [*(document for document, _ in documents), *(one for url, one in stubs.items() if url not in known)]
    _copy(cursor, "images", ("article_id", "url", "width", "height", "title"),
          [(ids[one.url], i.url, i.width, i.height, i.title) for one in shown for i in one.images])  # fmt: skip


def _merge(cursor: psycopg.Cursor, table: str, rows: list[tuple[Any, ...]]) -> dict[str, int]:
    names, conflict = _MERGES[table]
    _merge_copied(cursor, table, names, rows, conflict)
    keys = [row[0] for row in rows]
    return dict(cursor.execute(f"SELECT {names[0]}, id FROM {table} WHERE {names[0]} = ANY(%s)", (keys,)).fetchall())


def _copy(cursor: psycopg.Cursor, table: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    _merge_copied(cursor, table, names, rows, "ON CONFLICT DO NOTHING")


def _merge_copied(
    cursor: psycopg.Cursor, table: str, names: tuple[str, ...], rows: list[tuple[Any, ...]], conflict: str
) -> None:
    columns = ", ".join(names)
    with cursor.copy(f"COPY copied_{table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM copied_{table} {conflict}")


def keep(cursor: psycopg.Cursor, first: int, raws: Sequence[bytes]) -> None:
    """Store raw bytes and receipts of documents; their numbers start at `first`."""
    now = datetime.now(UTC)
    digests = [hashlib.sha256(raw).digest() for raw in raws]
    with cursor.copy("COPY raw_documents FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["bytea", "bytea"])
        for row in zip(digests, raws, strict=True):
            copy.write_row(row)
    with cursor.copy("COPY receipts FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "bytea", "timestamptz"])
        for number, digest in enumerate(digests, first):
            copy.write_row((number, digest, now))


def _work(batches: list[tuple[int, list[bytes]]], keeps: bool, ready: Any, go: Any, used: Any) -> None:
    with psycopg.connect(_database()) as connection:
        for table in ("providers", "topics", "articles", "links", "article_topics", "images"):
            connection.execute(
                f"CREATE TEMPORARY TABLE copied_{table} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
            )
        connection.commit()
        collect_less()
        ready.release()
        go.wait()
        before = time.process_time()
        for first, raws in batches:
            documents = read(raws)
            while True:
                try:
                    store(connection.cursor(), documents)
                    if keeps:
                        keep(connection.cursor(), first, raws)
                    connection.commit()
                    break
                except psycopg.errors.DeadlockDetected:
                    connection.rollback()
        used.put(time.process_time() - before)


def prepare() -> None:
    with psycopg.connect(_database()) as connection:
        connection.execute(_KEPT)


def _database() -> str:
    return os.environ["BENCH_DATABASE_URL"].replace("+psycopg", "")


def start(raws: list[bytes], *, first: int = 0, keep: bool = False) -> tuple[list[Any], Any, Any]:
    """Start two processes, each with half of the batches. Return the event on which they begin, and a queue with the
    CPU seconds of each.

    The numbers of the documents start at `first`.
    """
    context = multiprocessing.get_context("spawn")
    ready, go, used = context.Semaphore(0), context.Event(), context.Queue()
    parts = [(first + at, raws[at : at + BATCH]) for at in range(0, len(raws), BATCH)]
    workers = [context.Process(target=_work, args=(parts[n::2], keep, ready, go, used)) for n in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert ready.acquire(timeout=_READY_SECONDS), "a process of the limit did not start"
    return workers, go, used
