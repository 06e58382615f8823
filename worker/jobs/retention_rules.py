"""The retention rules: which rows may be deleted, after how long, and how.

No rule deletes rows that future decisions depend on. These stay forever: tombstones, raw bytes of live documents and
of open dead letters, receipts of open dead letters, aliases, and articles that a document describes or another
article names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Table, delete, exists, func, select, true, tuple_, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.settings import Settings
from worker.store.clock import store_time
from worker.store.columns import metadata
from worker.store.decide.change_set import TARGET
from worker.store.decide.stored import CHILD_KEYS
from worker.store.linking.links import KINDS
from worker.store.tables import (
    article_topics,
    articles,
    dead_letter_actions,
    dead_letters,
    documents,
    links,
    operator_actions,
    providers,
    raw_documents,
    receipts,
    stories,
    topics,
    url_work,
)
from worker.word_index import stored_terms

Key = tuple[str | int | bytes, ...]
"""The primary key of a row."""
Delete = Callable[[Connection, Table, Sequence[Key]], None]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Which rows of one table expire, and how they are deleted."""

    name: str
    description: str
    table: Table
    days: Callable[[Settings], float | None]
    """How many days the rows are kept; None: forever."""
    since: Column[datetime] | None
    """The time from which the days count. It has an index, in whose order the rows are read. None: the rows have no
    time, so they expire as soon as they are not needed, and are read in the order of their keys."""
    is_unused: Callable[[datetime], ColumnElement[bool]]
    """Returns the condition for deleting a row besides its age; the argument is the time before which rows expire."""
    delete: Delete
    batch: int = 200
    """The most rows in one transaction. Other writers wait for it."""

    @property
    def keys(self) -> list[Column[Any]]:
        return list(self.table.primary_key.columns)

    @property
    def order(self) -> list[Column[Any]]:
        """The columns in whose order the rows are read."""
        return self.keys if self.since is None else [self.since, *self.keys]

    def expired(self, before: datetime) -> ColumnElement[bool]:
        """Return the condition for the rows that are old enough."""
        return true() if self.since is None else self.since < before

    def among(self, rows: Sequence[Key]) -> ColumnElement[bool]:
        """Return the condition for the rows with these keys."""
        return _among(self.table, rows)


def _among(table: Table, rows: Sequence[Key]) -> ColumnElement[bool]:
    keys = list(table.primary_key.columns)
    if len(keys) == 1:
        return keys[0].in_([row[0] for row in rows])
    return tuple_(*keys).in_([tuple(row) for row in rows])


def _delete(connection: Connection, table: Table, rows: Sequence[Key]) -> None:
    connection.execute(delete(table).where(_among(table, rows)))


def _delete_articles(connection: Connection, table: Table, rows: Sequence[Key]) -> None:
    """Delete articles to which no link points, with their terms, URLs, images, topics and links."""
    ids = [int(row[0]) for row in rows]
    if stored_terms.exists(connection):
        stored_terms.delete_terms(connection, ids)
    for name, (article_id, *_) in CHILD_KEYS.items():
        child = metadata.tables[name]
        connection.execute(delete(child).where(child.c[article_id].in_(ids)))
    _delete(connection, table, rows)


def _end_stories(connection: Connection, _: Table, rows: Sequence[Key]) -> None:
    """End stories as the linker does: the change feed publishes the end, then the row is deleted.

    The articles stay, without the links between them.
    """
    ids = [row[0] for row in rows]
    members = select(articles.c.id).where(articles.c.story_id.in_(ids))
    between = (links.c.kind.in_(KINDS), links.c.source_id.in_(members), links.c.target_id.in_(members))
    connection.execute(delete(links).where(*between))
    connection.execute(update(articles).where(articles.c.story_id.in_(ids)).values(story_id=None))
    nothing = dict.fromkeys(("lead_id", "first_id", "first_at", "last_at", "heat", "announced_at"))
    ended = {**nothing, "size": 0, "changed_at": store_time(connection)}
    connection.execute(update(stories).where(stories.c.id.in_(ids)).values(ended))


def _unused_raw(_: datetime) -> ColumnElement[bool]:
    # A batch that stores the same bytes again updates `last_seen_at` in its transaction, so its bytes are kept.
    needed = exists().where(documents.c.raw_sha256 == raw_documents.c.sha256, ~documents.c.retracted)
    is_open = exists().where(dead_letters.c.raw_sha256 == raw_documents.c.sha256, dead_letters.c.status == "open")
    return ~needed & ~is_open


def _unused_receipts(_: datetime) -> ColumnElement[bool]:
    about = (dead_letters.c.lane == receipts.c.lane) & (dead_letters.c.receipt_id == receipts.c.id)
    return ~exists().where(about, dead_letters.c.status == "open")


def _expired_dead_letters(before: datetime) -> ColumnElement[bool]:
    actions = dead_letter_actions.c
    is_recent = exists().where(actions.dead_letter_id == dead_letters.c.id, actions.at >= before)
    return (dead_letters.c.status != "open") & ~is_recent


def _unused_orphans(_: datetime) -> ColumnElement[bool]:
    published = exists().where(documents.c.article_hash == articles.c.url_hash, ~documents.c.retracted)
    named = exists().where(links.c.target_hash == articles.c.url_hash)
    # Links to a URL that it claimed before may still point to it until such a pass ends.
    redirected = exists().where(url_work.c.kind == TARGET)
    # SQLite gives the highest id again once its row is deleted, so the newest article stays until another one comes:
    # receipts name articles by their id.
    is_newest = articles.c.id == select(func.max(articles.alias().c.id)).scalar_subquery()
    # An orphan in a story waits for the linker, which has not removed it from the story yet.
    return ~published & ~named & ~redirected & articles.c.story_id.is_(None) & ~is_newest


def _unused_providers(_: datetime) -> ColumnElement[bool]:
    return providers.c.document_id.is_(None) & ~exists().where(articles.c.provider_id == providers.c.id)


def _unused_topics(_: datetime) -> ColumnElement[bool]:
    below = topics.alias("below")
    used = exists().where(article_topics.c.topic_id == topics.c.id) | exists().where(below.c.parent_id == topics.c.id)
    return topics.c.document_id.is_(None) & ~used


def _unused_stories(before: datetime) -> ColumnElement[bool]:
    # An archive may add old stories today. They are kept as long as other stories.
    return (stories.c.changed_at < before) & stories.c.announced_at.is_not(None)


RETENTION_RULES = (
    RetentionRule("receipts", "receipts of documents settled long ago, but for those of open dead letters", receipts,
          lambda config: config.receipt_days, receipts.c.settled_at, _unused_receipts, _delete),
    RetentionRule("dead letters", "dead letters that were replayed or discarded", dead_letters,
          lambda config: config.receipt_days, dead_letters.c.created_at, _expired_dead_letters, _delete),
    RetentionRule("actions", "records of what operators did long ago", operator_actions,
          lambda config: config.receipt_days, operator_actions.c.at, lambda _: true(), _delete),
    RetentionRule("raw documents", "raw bytes that no live document and no open dead letter needs", raw_documents,
          lambda config: config.raw_days, raw_documents.c.last_seen_at, _unused_raw, _delete),
    RetentionRule("orphans", "articles that no document describes and no article names any more", articles,
          lambda config: config.orphan_days, articles.c.orphaned_at, _unused_orphans, _delete_articles),
    RetentionRule("providers", "providers that no article and no reference document names any more", providers,
          lambda config: config.orphan_days, None, _unused_providers, _delete),
    RetentionRule("topics", "topics that no article, no reference document and no other topic names any more", topics,
          lambda config: config.orphan_days, None, _unused_topics, _delete),
    RetentionRule("stories", "stories whose newest article is old; their articles stay", stories,
          lambda config: config.story_days, stories.c.last_at, _unused_stories, _end_stories, batch=50),
)  # fmt: skip
