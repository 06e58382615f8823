"""The limit: what two processes can do that only read documents and store the rows of the peers. No queue, no promises.

libyaml's events, the peers' pydantic model, and COPY into a temporary table and one merge for each table.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections.abc import Iterable, Sequence
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

BATCH = 200
_MATTER = re.compile(r"---\s*\n(.*?)\n---\s*\n(.*)", re.DOTALL)
_TOLD = ("kind", "title", "excerpt", "published_at", "quality", "amp_url", "cdn_amp_url")
_OWN = (*_TOLD, "category", "heat", "published", "secured")

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


def mapping(text: str) -> Any:
    """Build the mapping from events, values as text: no tags, no anchors, no limits."""
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
    told: list[model.Told] = [*(document for document, _ in documents), *stubs.values()]
    providers = {one.provider.domain: one.provider.name for one in told if one.provider}
    provider_ids = _merge(cursor, "providers", sorted(providers.items()))
    names = {name for document, _ in documents for name in document.topics}
    topic_ids = _merge(cursor, "topics", [(name,) for name in sorted(names)])

    def row(one: model.Told, body: str | None, names: Sequence[str]) -> tuple[Any, ...]:
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
        row(one, None, _TOLD) for one in stubs.values()
    ]
    known = {
        url for (url,) in cursor.execute("SELECT url FROM articles WHERE url = ANY(%s)", (list(stubs),)).fetchall()
    }
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


def _work(raws: list[bytes], ready: Any, go: Any, used: Any) -> None:
    with psycopg.connect(os.environ["BENCH_DATABASE_URL"].replace("+psycopg", "")) as connection:
        for table in ("providers", "topics", "articles", "links", "article_topics", "images"):
            connection.execute(
                f"CREATE TEMPORARY TABLE copied_{table} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
            )
        connection.commit()
        ready.release()
        go.wait()
        before = time.process_time()
        for start in range(0, len(raws), BATCH):
            documents = read(raws[start : start + BATCH])
            while True:
                try:
                    store(connection.cursor(), documents)
                    connection.commit()
                    break
                except psycopg.errors.DeadlockDetected:
                    connection.rollback()
        used.put(time.process_time() - before)


def start(raws: list[bytes]) -> tuple[list[Any], Any, Any]:
    """Two processes, each with half of the batches; the event on which they begin; a queue with the CPU seconds of each."""
    context = multiprocessing.get_context("spawn")
    ready, go, used = context.Semaphore(0), context.Event(), context.Queue()
    parts = [raws[start : start + BATCH] for start in range(0, len(raws), BATCH)]
    halves = [[raw for part in parts[n::2] for raw in part] for n in range(2)]
    workers = [context.Process(target=_work, args=(half, ready, go, used)) for half in halves]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    return workers, go, used
