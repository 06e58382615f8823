"""Check the store's invariant: it is a function of the latest version of each document.

See decision 9 in `worker/DECISIONS.md`. Each check is one query for rows that must not exist. The checks scan
whole tables: minutes with millions of articles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.engine import Connection

from worker.store.columns import metadata
from worker.store.engine import without_statement_timeout
from worker.store.tables import (
    article_topics,
    article_urls,
    articles,
    dead_letters,
    documents,
    images,
    links,
    raw_documents,
    receipts,
    topics,
)

_EXAMPLES = 3
REFERENCES = (
    (links.c.source_id, articles), (links.c.target_id, articles), (article_urls.c.article_id, articles),
    (images.c.article_id, articles), (article_topics.c.article_id, articles), (article_topics.c.topic_id, topics),
)  # fmt: skip
"""Columns without a foreign key, and the tables to which they refer."""


def _is_described(name: str | None, kind: str, _: object) -> bool:
    """Return whether `tables.py` describes a table: all but the index of words, which differs between the databases."""
    return kind != "table" or not (name or "").startswith("article_words")


COMPARED = {"compare_type": False, "include_name": _is_described}
"""How Alembic compares the tables of a database with `tables.py`."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the store. `wrong` selects one column, shown as an example, of each row that must not exist.

    `url`: the hash of the URL that `jobs/store_repair.py` lets be decided again for such a row; None: it cannot mend the row.
    """

    name: str
    description: str
    wrong: Select[Any]
    url: Column[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: how many rows break the rule, and some of them as examples."""

    check: str
    description: str
    count: int
    examples: tuple[str, ...]


def _checks() -> Iterator[Check]:
    live = ~documents.c.retracted & documents.c.taxonomy.is_(None) & documents.c.article_hash.is_not(None)
    published = ~articles.c.is_stub
    yield Check(
        "documents",
        "a live document describes an article that exists and is neither a stub nor an orphan",
        select(documents.c.key).where(
            live,
            ~exists().where(
                articles.c.url_hash == documents.c.article_hash, published, articles.c.orphaned_at.is_(None)
            ),
        ),
    )
    newest = documents.alias("newest")
    yield Check(
        "source documents",
        "an article shows its newest live document",
        select(articles.c.canonical_url).where(
            published,
            articles.c.document_id
            != select(newest.c.id)
            .where(newest.c.article_hash == articles.c.url_hash, ~newest.c.retracted)
            .order_by(newest.c.revision.desc())
            .limit(1)
            .scalar_subquery(),
        ),
    )
    yield Check(
        "orphans",
        "an article without a live document is a stub or an orphan",
        select(articles.c.canonical_url).where(
            published,
            articles.c.orphaned_at.is_(None),
            ~exists().where(live, documents.c.article_hash == articles.c.url_hash),
        ),
    )
    gone = documents.alias("gone")
    yield Check(
        "retractions",
        "no live document is older than its source's retraction of its URL",
        select(documents.c.key)
        .join(articles, articles.c.url_hash == documents.c.article_hash)
        .join(gone, and_(gone.c.key == articles.c.canonical_url, gone.c.source == documents.c.source))
        .where(live, gone.c.url_retraction > documents.c.revision),
    )
    yield Check("references", "the article or topic to which a row refers exists", _dangling_rows())
    yield Check(
        "links", "a link points to the article that its URL resolves to", _misdirected_links(), links.c.target_hash
    )
    yield Check(
        "items",
        "an item of a collection points to the article that its document describes",
        _misdirected_items(),
        links.c.target_hash,
    )
    yield Check(
        "stubs",
        "a stub is named by an article, or is an orphan",
        select(articles.c.canonical_url).where(
            articles.c.is_stub,
            articles.c.orphaned_at.is_(None),
            ~exists().where(links.c.target_hash == articles.c.url_hash),
        ),
        articles.c.url_hash,
    )
    dead_letter = (dead_letters.c.lane == receipts.c.lane) & (dead_letters.c.receipt_id == receipts.c.id)
    yield Check(
        "dead letters",
        "an open dead letter has its receipt",
        select(dead_letters.c.receipt_id).where(dead_letters.c.status == "open", ~exists().where(dead_letter)),
    )
    stored = exists().where(raw_documents.c.sha256 == documents.c.raw_sha256)
    yield Check(
        "raw documents",
        "the bytes of a live document are kept",
        select(documents.c.key).where(live, documents.c.raw_sha256.is_not(None), ~stored),
    )
    wanted = exists().where(raw_documents.c.sha256 == dead_letters.c.raw_sha256)
    yield Check(
        "raw dead letters",
        "the bytes of an open dead letter are kept",
        select(dead_letters.c.receipt_id).where(
            dead_letters.c.status == "open", dead_letters.c.raw_sha256.is_not(None), ~wanted
        ),
    )


def is_dangling(column: Column[Any], table: Table) -> ColumnElement[bool]:
    """Return the condition for rows that refer to a row of `table` which does not exist."""
    return column.is_not(None) & ~exists().where(table.c.id == column)


def _dangling_rows() -> Select[Any]:
    """Select the columns without a foreign key that refer to no row, with their values."""
    queries = [
        select((literal(f"{column} ") + cast(column, Text)).label("value")).where(is_dangling(column, table))
        for column, table in REFERENCES
    ]
    return select(union_all(*queries).subquery())


def undecided_urls() -> Iterator[Select[Any]]:
    """Yield queries of the hashes of URLs whose links or stub break a rule."""
    for one in _checks():
        if one.url is not None:
            yield one.wrong.with_only_columns(one.url, maintain_column_froms=True)
    yield select(links.c.target_hash).where(links.c.kind == "contains", is_dangling(links.c.target_id, articles))


def _misdirected_links() -> Select[Any]:
    """Select `related` links with a wrong target.

    The right one is the article of the URL if it has a document, else the newest article that claims the URL, else
    its stub.
    """
    own, claim = articles.alias("own"), articles.alias("claimant")
    claims = article_urls.join(claim, claim.c.id == article_urls.c.article_id)
    claimed = (
        select(claim.c.id)
        .select_from(claims)
        .where(article_urls.c.url_hash == links.c.target_hash, ~claim.c.is_stub)
        .order_by(claim.c.revision.desc(), claim.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    resolved = case((and_(own.c.id.is_not(None), ~own.c.is_stub), own.c.id), else_=func.coalesce(claimed, own.c.id))
    chain = links.join(articles, articles.c.id == links.c.source_id)
    return (
        select(articles.c.canonical_url)
        .select_from(chain.outerjoin(own, own.c.url_hash == links.c.target_hash))
        .where(links.c.kind == "related", links.c.target_id.is_(None) | links.c.target_id.is_distinct_from(resolved))
    )


def _misdirected_items() -> Select[Any]:
    """Select items of collections that name a live document and do not point to the article that it describes."""
    published = articles.alias("published")
    described = and_(
        documents.c.doc_hash == links.c.target_hash, ~documents.c.retracted, documents.c.taxonomy.is_(None)
    )
    chain = links.join(articles, articles.c.id == links.c.source_id).join(documents, described)
    return (
        select(articles.c.canonical_url)
        .select_from(
            chain.join(published, and_(published.c.url_hash == documents.c.article_hash, ~published.c.is_stub))
        )
        .where(links.c.kind == "contains", links.c.target_id.is_distinct_from(published.c.id))
    )


def check(connection: Connection) -> Iterator[Finding]:
    """Run every check and yield a finding for each; `count` is 0 where the rule holds."""
    without_statement_timeout(connection)
    yield _check_schema(connection)
    yield from check_rows(connection)


def _check_schema(connection: Connection) -> Finding:
    differences = compare_metadata(MigrationContext.configure(connection, opts=COMPARED), metadata)
    return Finding("schema", "the tables are those of this version", len(differences),
                   tuple(str(part)[:200] for part in differences[:_EXAMPLES]))  # fmt: skip


def check_rows(connection: Connection) -> Iterator[Finding]:
    """Run every check of rows, but do not compare the tables with those of this version."""
    if connection.dialect.name == "sqlite":
        for pragma, description in (
            ("integrity_check", "the file is intact"),
            ("foreign_key_check", "every reference holds"),
        ):
            rows = [str(tuple(row)) for row in connection.exec_driver_sql(f"PRAGMA {pragma}") if tuple(row) != ("ok",)]
            yield Finding(pragma, description, len(rows), tuple(rows[:_EXAMPLES]))
    for one in _checks():
        count = int(connection.scalar(select(func.count()).select_from(one.wrong.subquery())) or 0)
        found = connection.scalars(one.wrong.limit(_EXAMPLES)) if count else ()
        yield Finding(one.name, one.description, count, tuple(str(value) for value in found))
