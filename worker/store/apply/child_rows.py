"""Compare the child rows of articles (aliases, images, topics, links) with the wanted rows; write the difference.

An update leaves nearly all child rows as they are, and unchanged rows need no decision. The article that a URL
resolves to, and the entry that a stub shows, change only where a claim or a link was added or removed, or where
another article claims or names the same URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.engine import Connection

from worker.store.sql.statements import fetch, insert_rows, merge, remove_rows
from worker.store.tables import article_topics, article_urls, images, links

Row = dict[str, Any]
Key = tuple[Any, ...]

_KEYS: dict[Table, tuple[str, ...]] = {
    article_urls: ("article_id", "claim", "url_hash"),
    images: ("article_id", "rank"),
    article_topics: ("article_id", "topic_id"),
    links: ("source_id", "kind", "target_hash"),
}
_VALUES: dict[Table, tuple[str, ...]] = {
    article_urls: ("url",),
    images: ("url", "width", "height", "is_cached", "title", "url_hash", "is_placeholder"),
    article_topics: ("rank", "origin"),
    links: ("rank",),
}
LISTED = ("related", "contains")
"""The kinds of links that documents state. The linker writes the others."""


@dataclass(slots=True)
class ChildRows:
    """The child rows of some articles, by table and key. Of links, only those that documents state."""

    rows: dict[Table, dict[Key, Key]] = field(default_factory=lambda: {table: {} for table in _KEYS})

    def image_titles(self) -> list[tuple[int, bytes | None]]:
        """Return (article id, URL hash) of each image."""
        return [(key[0], values[5]) for key, values in self.rows[images].items()]

    def placeholders(self) -> set[bytes]:
        """Return the URL hashes of the images that are marked as placeholders."""
        return {values[5] for values in self.rows[images].values() if values[6]}


@dataclass(slots=True)
class Difference:
    """The difference of one table.

    `came`: rows to insert; `changed`: rows to update; `gone`: keys of rows to delete.
    """

    came: list[Row]
    changed: list[Row]
    gone: list[Key]


def stored_parts(connection: Connection, ids: Sequence[int], tables: Iterable[Table] = tuple(_KEYS)) -> ChildRows:
    """Read the child rows of the articles `ids` from `tables`."""
    found = ChildRows()
    for table in tables if ids else ():
        keys = _KEYS[table]
        columns: list[Column[Any]] = [table.c[name] for name in (*keys, *_VALUES[table])]
        for row in fetch(connection, columns, table.c[keys[0]], ids):
            if table is not links or row.kind in LISTED:
                found.rows[table][tuple(row[: len(keys)])] = tuple(row[len(keys) :])
    return found


def differ(table: Table, before: ChildRows, rows: Iterable[Row]) -> Difference:
    """Compare the wanted `rows` with the stored rows `before`. Of several rows with one key the first counts."""
    names, values = _KEYS[table], _VALUES[table]
    left = dict(before.rows[table])
    found, seen = Difference([], [], []), set[Key]()
    for row in rows:
        key = tuple(row[name] for name in names)
        if key in seen:
            continue
        seen.add(key)
        stored = left.pop(key, None)
        if stored is None:
            found.came.append(row)
        elif stored != tuple(row[name] for name in values):
            found.changed.append(row)
    found.gone = list(left)
    return found


def write_difference(connection: Connection, table: Table, found: Difference) -> None:
    """Delete, insert and update the rows of a difference."""
    names = _KEYS[table]
    remove_rows(connection, table, names, found.gone)
    insert_rows(connection, table, found.came)
    merge(connection, table, found.changed, names, _VALUES[table])
