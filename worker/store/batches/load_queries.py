"""The queries of the loads (`load.py`).

No query reads all that a URL or some bytes ever had: it reads the keys that the batch brings, the newest row, or a
count up to a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column

from worker.enrichment.image_choice import SEVERAL_TITLES
from worker.store.decide import stored as rows
from worker.store.service_tables import DELETIONS
from worker.store.sql.flights import Query
from worker.store.tables import (
    article_topics,
    article_urls,
    articles,
    dead_letters,
    documents,
    images,
    links,
    providers,
    raw_documents,
    receipts,
    topics,
)

_HASH = (articles.c.url_hash,)
_ID = (articles.c.id,)
_DOC_HASH = (documents.c.doc_hash,)


class _Key(NamedTuple):
    key: bytes


class _Id(NamedTuple):
    id: int


class TokenRow(NamedTuple):
    name: str
    token: str


class _Seconds(NamedTuple):
    seconds: float


class _NextIds(NamedTuple):
    document: int
    article: int


class Target(NamedTuple):
    target_hash: bytes
    namers: int
    target_id: int | None


def tokens_of(found: Sequence[TokenRow]) -> tuple[str | None, str | None]:
    """Return the tokens of the reference documents and of the deletions of providers and topics."""
    tokens = {row.name: row.token for row in found}
    return tokens.get("references"), tokens.get(DELETIONS)


def _columns(table: Any, names: Sequence[str]) -> list[Column[Any] | None]:
    return [table.c.get(name) for name in names]


def _named(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


_STORED = rows.DocumentRow._fields[:-2]
_DOCUMENT = f"{_named('d', _STORED)}, CASE WHEN d.taxonomy IS NOT NULL THEN d.form END, a.document_id"
_DOCUMENT_COLUMNS = [*_columns(documents, _STORED), None, None]

RECEIPTS = Query(
    rows.ReceiptRow,
    "WITH w(lane, id) AS ({table receipts})"
    f" SELECT {_named('r', rows.ReceiptRow._fields)} FROM w JOIN receipts r ON r.lane = w.lane AND r.id = w.id",
    {"receipts": (receipts.c.lane, receipts.c.id)},
    _columns(receipts, rows.ReceiptRow._fields),
)
DOCUMENTS = Query(
    rows.DocumentRow,
    f"SELECT {_DOCUMENT} FROM documents d LEFT JOIN articles a ON a.url_hash = d.article_hash"
    " WHERE d.doc_hash {in doc_hashes}",
    {"doc_hashes": _DOC_HASH},
    _DOCUMENT_COLUMNS,
)
REACHED = Query(
    rows.DocumentRow,
    f"WITH w(source, url_hash, before) AS ({{table places}}) SELECT {_DOCUMENT} FROM w"
    " CROSS JOIN LATERAL (SELECT * FROM documents x WHERE x.article_hash = w.url_hash AND x.source = w.source"
    " AND x.revision < w.before AND NOT x.retracted ORDER BY x.revision DESC LIMIT {value step}) d"
    " LEFT JOIN articles a ON a.url_hash = d.article_hash ORDER BY d.revision DESC",
    {"places": (documents.c.source, documents.c.article_hash, documents.c.revision)},
    _DOCUMENT_COLUMNS,
    sqlite=f"WITH w(source, url_hash, before) AS ({{table places}}) SELECT {_DOCUMENT} FROM w JOIN documents d"
    " ON d.article_hash = w.url_hash AND d.source = w.source AND d.revision < w.before AND d.revision >= coalesce("
    "(SELECT x.revision FROM documents x WHERE x.article_hash = w.url_hash AND x.source = w.source"
    " AND x.revision < w.before AND NOT x.retracted ORDER BY x.revision DESC LIMIT 1 OFFSET {value step} - 1), '')"
    " LEFT JOIN articles a ON a.url_hash = d.article_hash WHERE NOT d.retracted ORDER BY d.revision DESC",
)
RAW = Query(_Key, "SELECT sha256 FROM raw_documents WHERE sha256 {in raw}", {"raw": (raw_documents.c.sha256,)}, [None])
REPLAYS = Query(_Id, "SELECT id FROM dead_letters WHERE id {in replays}", {"replays": (dead_letters.c.id,)}, [None])
TOKENS = Query(TokenRow, "SELECT name, token FROM reference_state", {}, [None, None])
_NEXT_IDS = {
    "postgresql": "SELECT nextval(pg_get_serial_sequence('documents', 'id')), nextval(pg_get_serial_sequence('articles', 'id'))",
    "sqlite": "SELECT coalesce((SELECT max(id) FROM documents), 0) + 1, coalesce((SELECT max(id) FROM articles), 0) + 1",
}
NEXT = {name: Query(_NextIds, text, {}, [None, None]) for name, text in _NEXT_IDS.items()}

_SECONDS = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}
CLOCK = {name: Query(_Seconds, text, {}, [None]) for name, text in _SECONDS.items()}

ARTICLES = Query(
    rows.ArticleRow,
    f"SELECT {_named('a', rows.ArticleRow._fields)} FROM articles a WHERE a.url_hash {{in urls}}",
    {"urls": _HASH},
    _columns(articles, rows.ArticleRow._fields),
)
SOURCES = Query(
    rows.SourceRow,
    "WITH w(url_hash) AS ({table touched})"
    " SELECT w.url_hash, d.id, d.source, d.revision, d.pipeline_version, d.form, d.secured FROM w"
    " JOIN documents d ON d.id = (SELECT x.id FROM documents x WHERE x.article_hash = w.url_hash AND NOT x.retracted"
    " AND x.doc_hash {not in known} ORDER BY x.revision DESC LIMIT 1)",
    {"touched": _HASH, "known": _DOC_HASH},
    [None] * 7,
)
FORMS = Query(rows.FormRow, "SELECT id, form FROM documents WHERE id {in forms}", {"forms": _ID}, [None, None])
# Without the subquery the planner may read all links first, as long as it takes the table for a small one.
_TOUCHED = "WITH t AS MATERIALIZED (SELECT a.id FROM articles a WHERE a.url_hash {{in urls}}{0})"
LINKS = Query(
    rows.LinkRow,
    # The order makes PostgreSQL use the primary key. Without it, it may read all of another index for each article.
    f"{_TOUCHED.format('')} SELECT {_named('l', rows.LinkRow._fields)} FROM t CROSS JOIN LATERAL (SELECT * FROM links x"
    " WHERE x.source_id = t.id AND x.kind IN ('related', 'contains') ORDER BY x.source_id, x.kind, x.target_hash"
    " OFFSET 0) l",
    {"urls": _HASH},
    _columns(links, rows.LinkRow._fields),
    sqlite=f"{_TOUCHED.format('')} SELECT {_named('l', rows.LinkRow._fields)} FROM t JOIN links l ON l.source_id = t.id"
    " WHERE l.kind IN ('related', 'contains')",
)
KEYWORDS = Query(
    rows.KeywordsRow,
    "SELECT id, slug, keywords FROM topics WHERE slug {in topics}",
    {"topics": (topics.c.slug,)},
    _columns(topics, rows.KeywordsRow._fields),
)


def _children(row: type[Any], table: Any, condition: str = "") -> Query[Any]:
    return Query(
        row,
        f"{_TOUCHED.format(condition)} SELECT {_named('c', row._fields)} FROM t JOIN {table.name} c ON c.article_id = t.id",
        {"urls": _HASH},
        _columns(table, row._fields),
    )


CLAIMS: Query[rows.ClaimRow] = _children(rows.ClaimRow, article_urls)
IMAGES: Query[rows.ImageRow] = _children(rows.ImageRow, images)
TOPICS: Query[rows.TopicRow] = _children(rows.TopicRow, article_topics)
STUB_IMAGES: Query[rows.ImageRow] = _children(rows.ImageRow, images, " AND a.is_stub")
ALIAS_CLAIMS = Query(
    rows.AliasClaimRow,
    # Claims count only for URLs without an article of their own.
    "WITH k(url_hash) AS ({table claimable}), w AS (SELECT k.url_hash FROM k WHERE NOT EXISTS"
    " (SELECT 1 FROM articles o WHERE o.url_hash = k.url_hash AND NOT o.is_stub AND o.id {not in left}))"
    " SELECT w.url_hash, a.id, a.revision, a.quality, a.published_at, a.title, a.url_hash,"
    " (SELECT count(*) FROM (SELECT 1 FROM article_urls u WHERE u.url_hash = w.url_hash LIMIT {value most}) q) FROM w"
    " JOIN articles a ON a.id = (SELECT x.id FROM (SELECT u.article_id FROM article_urls u"
    " WHERE u.url_hash = w.url_hash AND u.article_id {not in touched} LIMIT {value most}) c"
    " JOIN articles x ON x.id = c.article_id WHERE NOT x.is_stub ORDER BY x.revision DESC, x.id DESC LIMIT 1)",
    {"claimable": _HASH, "left": _ID, "touched": _ID},
    [None, None, None, None, articles.c.published_at, None, None, None],
)
_LISTED_LINKS = (
    "SELECT {0} FROM links l WHERE l.target_hash = w.url_hash AND l.kind IN ('related', 'contains')"
    " ORDER BY l.source_id LIMIT {1}"
)
_MOST_LISTED = _LISTED_LINKS.format("coalesce(l.target_id, -1) AS target", "{value most}")
_FIRST_LISTED = _LISTED_LINKS.format("coalesce(l.target_id, -1)", 1)
TARGETS = Query(
    Target,
    # The first link is the one that a pass of `background/target_step.py` moves first. So if it points to what the URL
    # means, the others do too or a pass will move them. The order also makes PostgreSQL use the index that begins with
    # target_hash: without it, it expects to find some row of any index soon.
    "WITH w(url_hash) AS ({table urls}) SELECT w.url_hash, q.namers, q.target FROM w CROSS JOIN LATERAL"
    f" (SELECT count(*) AS namers, (array_agg(x.target))[1] AS target FROM ({_MOST_LISTED}) x) q",
    {"urls": _HASH},
    [None] * 3,
    sqlite="WITH w(url_hash) AS ({table urls})"
    f" SELECT w.url_hash, (SELECT count(*) FROM ({_MOST_LISTED}) x), ({_FIRST_LISTED}) FROM w",
)
NAMERS = Query(
    rows.NamerRow,
    # Only a URL without an article of its own has a stub.
    "WITH k(url_hash) AS ({table unnamed}), w AS (SELECT k.url_hash FROM k WHERE NOT EXISTS"
    " (SELECT 1 FROM articles o WHERE o.url_hash = k.url_hash AND NOT o.is_stub AND o.id {not in left}))"
    " SELECT w.url_hash, a.id, a.revision, d.form FROM w"
    " JOIN articles a ON a.id = (SELECT x.id FROM (SELECT l.source_id FROM links l"
    " WHERE l.target_hash = w.url_hash AND l.kind = 'related' AND l.source_id {not in touched}"
    " ORDER BY l.source_id LIMIT {value most}) n"
    " JOIN articles x ON x.id = n.source_id ORDER BY x.revision DESC, x.id DESC LIMIT 1) JOIN documents d ON d.id = a.document_id",
    {"unnamed": _HASH, "left": _ID, "touched": _ID},
    [None] * 4,
)
MOVED_FORMS = Query(
    rows.FormRow,
    # The form is needed where a stub may show an entry of this article which it does not show now.
    "SELECT x.id, d.form FROM articles x JOIN documents d ON d.id = x.document_id WHERE x.id {in moved} AND EXISTS"
    " (SELECT 1 FROM links l LEFT JOIN articles s ON s.url_hash = l.target_hash WHERE l.source_id = x.id"
    " AND l.kind = 'related' AND (s.id IS NULL OR (s.is_stub AND (s.named_by IS NULL OR s.named_by <> x.id))"
    " OR l.target_hash {in unnamed}))",
    {"moved": _ID, "unnamed": _HASH},
    [None, None],
)
ITEMS = Query(
    rows.ItemRow,
    "SELECT d.doc_hash, a.id FROM documents d LEFT JOIN articles a ON a.url_hash = d.article_hash AND NOT a.is_stub"
    " WHERE d.doc_hash {in items} AND NOT d.retracted AND d.taxonomy IS NULL",
    {"items": _DOC_HASH},
    [None, None],
)
IMAGE_USES = Query(
    rows.ImageUse,
    "WITH w(url_hash) AS ({table images}) SELECT w.url_hash,"
    " EXISTS (SELECT 1 FROM placeholder_images p WHERE p.url_hash = w.url_hash),"
    f" (SELECT count(*) FROM (SELECT 1 FROM images i WHERE i.url_hash = w.url_hash LIMIT {SEVERAL_TITLES}) q) FROM w",
    {"images": _HASH},
    [None, images.c.is_placeholder, None],
)
PROVIDERS = Query(
    rows.ProviderName,
    # A name that is being counted again is not known: the count may have missed what this batch adds.
    "SELECT p.id, CASE WHEN EXISTS (SELECT 1 FROM enrichment_work e WHERE e.kind = 'names' AND e.subject_id = p.id)"
    " THEN NULL ELSE p.name END FROM providers p WHERE p.id {in providers}",
    {"providers": (providers.c.id,)},
    [None, None],
)
