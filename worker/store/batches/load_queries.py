"""The queries of the loads (`load.py`).

No query reads all that a URL or some bytes ever had: it reads the keys that the batch brings, the newest row, or a
count up to a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from worker.enrichment.image_choice import SEVERAL_TITLES
from worker.store.columns import metadata
from worker.store.decide import stored as rows
from worker.store.decide.stored import CHILD_KEYS, CHILD_VALUES, ChildRow
from worker.store.sql.query import One, Pair, Query
from worker.store.tables import (
    articles,
    dead_letters,
    documents,
    providers,
    raw_documents,
    receipts,
    topics,
)

_HASH = (articles.c.url_hash,)
_ID = (articles.c.id,)
_DOC_HASH = (documents.c.doc_hash,)


class _Start(NamedTuple):
    now: float
    token: str | None
    documents: int
    articles: int
    providers: int
    topics: int


def _named(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


_STORED = _named("d", rows.DocumentRow._fields[:-2])
_DOCUMENT = f"{_STORED}, CASE WHEN d.taxonomy IS NOT NULL THEN d.form END, a.document_id"

RECEIPTS = Query(
    rows.ReceiptRow,
    "WITH w(lane, id) AS ({table receipts})"
    f" SELECT {_named('r', rows.ReceiptRow._fields)} FROM w JOIN receipts r ON r.lane = w.lane AND r.id = w.id",
    {"receipts": (receipts.c.lane, receipts.c.id)},
)
DOCUMENTS = Query(
    rows.DocumentRow,
    f"SELECT {_DOCUMENT} FROM documents d LEFT JOIN articles a ON a.url_hash = d.article_hash"
    " WHERE d.doc_hash {in doc_hashes}",
    {"doc_hashes": _DOC_HASH},
    documents,
)
REACHED = Query(
    rows.DocumentRow,
    f"WITH w(source, url_hash, before) AS ({{table retractions}}) SELECT {_DOCUMENT} FROM w"
    " CROSS JOIN LATERAL (SELECT * FROM documents x WHERE x.article_hash = w.url_hash AND x.source = w.source"
    " AND x.revision < w.before AND NOT x.retracted ORDER BY x.revision DESC LIMIT {limit step} + 1) d"
    " LEFT JOIN articles a ON a.url_hash = d.article_hash ORDER BY d.revision DESC",
    {"retractions": (documents.c.source, documents.c.article_hash, documents.c.revision)},
    documents,
    sqlite=f"WITH w(source, url_hash, before) AS ({{table retractions}}) SELECT {_DOCUMENT} FROM w JOIN documents d"
    " ON d.article_hash = w.url_hash AND d.source = w.source AND d.revision < w.before AND d.revision >= coalesce("
    "(SELECT x.revision FROM documents x WHERE x.article_hash = w.url_hash AND x.source = w.source"
    " AND x.revision < w.before AND NOT x.retracted ORDER BY x.revision DESC LIMIT 1 OFFSET {limit step}), '')"
    " LEFT JOIN articles a ON a.url_hash = d.article_hash WHERE NOT d.retracted ORDER BY d.revision DESC",
)
RAW: Query[Pair[bytes, datetime]] = Query(
    Pair,
    "SELECT sha256, last_seen_at FROM raw_documents WHERE sha256 {in raw}",
    {"raw": (raw_documents.c.sha256,)},
    raw_documents,
    names=("sha256", "last_seen_at"),
)
REPLAYS: Query[One[int]] = Query(
    One, "SELECT id FROM dead_letters WHERE id {in replays}", {"replays": (dead_letters.c.id,)}
)
_REFERENCES = "SELECT token FROM reference_state WHERE name = 'references'"
TOKEN: Query[One[str]] = Query(One, _REFERENCES)
_SECONDS = {
    "postgresql": "extract(epoch FROM clock_timestamp())::float8",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}
CLOCK: dict[str, Query[One[float]]] = {name: Query(One, f"SELECT {text}") for name, text in _SECONDS.items()}
_NEXT_ID = {
    "postgresql": "coalesce(pg_sequence_last_value(pg_get_serial_sequence('{0}', 'id')), 0) + 1",
    "sqlite": "coalesce((SELECT max(id) FROM {0}), 0) + 1",
}
START = {
    dialect: Query(
        _Start,
        f"SELECT {_SECONDS[dialect]}, ({_REFERENCES}), {', '.join(id_.format(name) for name in _Start._fields[2:])}",
    )
    for dialect, id_ in _NEXT_ID.items()
}

ARTICLES = Query(
    rows.ArticleRow,
    f"SELECT {_named('a', rows.ArticleRow._fields)} FROM articles a WHERE a.url_hash {{in urls}}",
    {"urls": _HASH},
    articles,
)
SOURCES = Query(
    rows.DocumentRow,
    f"WITH w(url_hash) AS ({{table touched}}) SELECT {_STORED}, d.form, NULL FROM w"
    " JOIN documents d ON d.id = (SELECT x.id FROM documents x WHERE x.article_hash = w.url_hash AND NOT x.retracted"
    " AND x.doc_hash {not in known} ORDER BY x.revision DESC LIMIT 1)",
    {"touched": _HASH, "known": _DOC_HASH},
    documents,
)
FORMS: Query[Pair[int, str]] = Query(Pair, "SELECT id, form FROM documents WHERE id {in forms}", {"forms": _ID})


def _child_row(*values: object) -> ChildRow:
    return values  # type: ignore[return-value]  # the first is the id of an article


def _children(table: str, condition: str = "") -> Query[ChildRow]:
    """Return the query of the rows of a child table for articles."""
    key = CHILD_KEYS[table]
    names = (*key, *CHILD_VALUES[table])
    of_article = f"x.{key[0]} = t.id" + (" AND x.kind IN ('related', 'contains')" if table == "links" else "")
    # Without the first subquery the planner may read all rows first, as long as it takes the table for a small one. The
    # order makes PostgreSQL use the primary key. Without it, it may read all of another index for each article.
    touched = f"WITH t AS MATERIALIZED (SELECT a.id FROM articles a WHERE a.url_hash {{in urls}}{condition})"
    rows_of = f"CROSS JOIN LATERAL (SELECT * FROM {table} x WHERE {of_article} ORDER BY {_named('x', key)} OFFSET 0) x"
    return Query(
        _child_row,
        f"{touched} SELECT {_named('x', names)} FROM t {rows_of}",
        {"urls": _HASH},
        metadata.tables[table],
        names=names,
        sqlite=f"{touched} SELECT {_named('x', names)} FROM t JOIN {table} x ON {of_article}",
    )


CHILDREN = {name: _children(name) for name in CHILD_KEYS}
STUB_IMAGES = _children("images", " AND a.is_stub")

# Claims count only for a URL without an article of its own, and only such a URL has a stub.
_UNOWNED = (
    "WITH k(url_hash) AS ({{table {0}}}), w AS (SELECT k.url_hash FROM k WHERE NOT EXISTS"
    " (SELECT 1 FROM articles o WHERE o.url_hash = k.url_hash AND NOT o.is_stub AND o.id {{not in undescribed}}))"
)
ALIAS_CLAIMS = Query(
    rows.AliasClaimRow,
    f"{_UNOWNED.format('urls')} SELECT w.url_hash, a.id, a.revision, a.quality, a.published_at, a.title, a.url_hash,"
    " (SELECT count(*) FROM (SELECT 1 FROM article_urls u WHERE u.url_hash = w.url_hash LIMIT {limit most}) q) FROM w"
    " JOIN articles a ON a.id = (SELECT x.id FROM (SELECT u.article_id FROM article_urls u"
    " WHERE u.url_hash = w.url_hash AND u.article_id {not in touched} LIMIT {limit most}) c"
    " JOIN articles x ON x.id = c.article_id WHERE NOT x.is_stub ORDER BY x.revision DESC, x.id DESC LIMIT 1)",
    {"urls": _HASH, "undescribed": _ID, "touched": _ID},
    articles,
)
NAMERS = Query(
    rows.NamerRow,
    f"{_UNOWNED.format('unnamed')} SELECT w.url_hash, a.id, a.revision, d.form FROM w"
    " JOIN articles a ON a.id = (SELECT x.id FROM (SELECT l.source_id FROM links l"
    " WHERE l.target_hash = w.url_hash AND l.kind = 'related' AND l.source_id {not in touched}"
    " ORDER BY l.source_id LIMIT {limit most}) n"
    " JOIN articles x ON x.id = n.source_id ORDER BY x.revision DESC, x.id DESC LIMIT 1) JOIN documents d ON d.id = a.document_id",
    {"unnamed": _HASH, "undescribed": _ID, "touched": _ID},
)
_LISTED_LINKS = (
    "SELECT {0} FROM links l WHERE l.target_hash = w.url_hash AND l.kind IN ('related', 'contains')"
    " ORDER BY l.source_id LIMIT {1}"
)
_MOST_LISTED, _FIRST_LISTED = (
    _LISTED_LINKS.format("l.target_id", "{limit most}"),
    _LISTED_LINKS.format("l.target_id", 1),
)
TARGETS = Query(
    rows.TargetRow,
    # The first link is the one that a pass of `background/target_step.py` moves first. So if it points to what the URL
    # means, the others do too or a pass will move them. The order also makes PostgreSQL use the index that begins with
    # target_hash: without it, it expects to find some row of any index soon.
    "WITH w(url_hash) AS ({table linked}) SELECT w.url_hash, q.namers, q.target FROM w CROSS JOIN LATERAL"
    f" (SELECT count(*) AS namers, (array_agg(x.target_id))[1] AS target FROM ({_MOST_LISTED}) x) q WHERE q.namers > 0",
    {"linked": _HASH},
    sqlite="WITH w(url_hash) AS ({table linked}) SELECT * FROM"
    f" (SELECT w.url_hash, (SELECT count(*) FROM ({_MOST_LISTED}) x) AS namers, ({_FIRST_LISTED}) FROM w) WHERE namers > 0",
)
REVISED_FORMS: Query[Pair[int, str]] = Query(
    Pair,
    # The form is needed where a stub may show an entry of this article which it does not show now.
    "SELECT x.id, d.form FROM articles x JOIN documents d ON d.id = x.document_id WHERE x.id {in revised} AND EXISTS"
    " (SELECT 1 FROM links l LEFT JOIN articles s ON s.url_hash = l.target_hash WHERE l.source_id = x.id"
    " AND l.kind = 'related' AND (s.id IS NULL OR (s.is_stub AND (s.named_by IS NULL OR s.named_by <> x.id))"
    " OR l.target_hash {in unnamed}))",
    {"revised": _ID, "unnamed": _HASH},
)
ITEMS: Query[Pair[bytes, int | None]] = Query(
    Pair,
    "SELECT d.doc_hash, a.id FROM documents d LEFT JOIN articles a ON a.url_hash = d.article_hash AND NOT a.is_stub"
    " WHERE d.doc_hash {in items} AND NOT d.retracted AND d.taxonomy IS NULL",
    {"items": _DOC_HASH},
)
IMAGE_USES = Query(
    rows.ImageUse,
    "WITH w(url_hash) AS ({table images}) SELECT w.url_hash,"
    " EXISTS (SELECT 1 FROM placeholder_images p WHERE p.url_hash = w.url_hash),"
    f" (SELECT count(*) FROM (SELECT 1 FROM images i WHERE i.url_hash = w.url_hash LIMIT {SEVERAL_TITLES}) q) FROM w",
    {"images": _HASH},
)
_PROVIDER = (
    "SELECT p.domain, p.id, CASE WHEN EXISTS (SELECT 1 FROM enrichment_work e WHERE e.kind = 'names'"
    " AND e.subject_id = p.id) THEN NULL ELSE p.name END FROM providers p"
)
PROVIDERS = Query(rows.ProviderRow, f"{_PROVIDER} WHERE p.domain {{in domains}}", {"domains": (providers.c.domain,)})
SHOWN_PROVIDERS = Query(
    rows.ProviderRow,
    f"{_PROVIDER} JOIN articles a ON a.provider_id = p.id WHERE a.url_hash {{in unnamed}}",
    {"unnamed": _HASH},
)
TOPIC_ROWS = Query(
    rows.TopicRow,
    "SELECT slug, id, name, document_id, CASE WHEN document_id IS NOT NULL THEN keywords END FROM topics"
    " WHERE slug {in slugs}",
    {"slugs": (topics.c.slug,)},
    topics,
)
