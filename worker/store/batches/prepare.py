"""Prepare a batch before it takes the writer lock: raw bytes, rows that many articles share, and rows of articles.

Raw bytes and new rows are committed in one short transaction. A better spelling of a topic is written in a second one,
under the writer lock. Nothing depends on them but the batch: bytes and names that no document needs in the end are
harmless. A small batch is prepared in the transaction that stores it (`queue_preparation`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine

from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.providers import ProviderRef
from worker.enrichment.reference_documents import ORGANIZATION, ReferenceCopy
from worker.enrichment.titles import strip_provider_suffix
from worker.enrichment.topics import better_spelling, topic_slug
from worker.store.batches.load_queries import TOKENS
from worker.store.batches.references import References, current_references
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.rows.article_rows import parts_of
from worker.store.engine import WRITER_LOCK
from worker.store.service_tables import DELETIONS
from worker.store.sql.flights import Flights, Result, flights
from worker.store.sql.query import Pair, Query
from worker.store.sql.statements import insertion, insertion_of_missing, updating
from worker.store.tables import providers, raw_documents, topics

SEEN_AGAIN = timedelta(days=1)
"""How old `raw_documents.last_seen_at` must be before it is set again."""
_SEEN = "(sha256) DO UPDATE SET last_seen_at = EXCLUDED.last_seen_at WHERE raw_documents.last_seen_at < "
_ON_KNOWN_RAW = {
    "postgresql": f"{_SEEN} EXCLUDED.last_seen_at - interval '1 day'",
    "sqlite": f"{_SEEN} datetime(EXCLUDED.last_seen_at, '-1 day')",
}
"""What becomes of raw bytes that are stored already, by the database: the same."""


class _Topic(NamedTuple):
    slug: str
    id: int
    name: str
    document_id: int | None


KNOWN_RAW: Query[Pair[bytes, datetime]] = Query(
    Pair,
    "SELECT sha256, last_seen_at FROM raw_documents WHERE sha256 {in raw}",
    {"raw": (raw_documents.c.sha256,)},
    raw_documents,
    names=("sha256", "last_seen_at"),
)
_PROVIDERS: Query[Pair[str, int]] = Query(
    Pair, "SELECT domain, id FROM providers WHERE domain {in domains}", {"domains": (providers.c.domain,)}
)
_TOPICS = Query(
    _Topic, "SELECT slug, id, name, document_id FROM topics WHERE slug {in slugs}", {"slugs": (topics.c.slug,)}
)


@dataclass(frozen=True, slots=True)
class SharedRows:
    """What articles take from rows that many articles share (`article_rows.Shared`).

    `deletions`: the token of the deletions of such rows before these were read.
    """

    references: References
    providers: Mapping[str, int]
    topics: Mapping[str, int]
    deletions: str | None = None

    @property
    def tokens(self) -> dict[str, str]:
        tokens = {"references": self.references.token, DELETIONS: self.deletions}
        return {name: token for name, token in tokens.items() if token is not None}

    def title(self, title: str | None, provider: ProviderRef | None) -> str | None:
        """Return a title without its provider's name at the end; tries all names of the reference document."""
        for name in self.references.names.get(provider.domain, ()) if title and provider else ():
            title = strip_provider_suffix(title or "", name, None)
        return title

    def inferred_topics(self, title: str | None, excerpt: str | None) -> list[str]:
        return self.references.finder.find(title, excerpt)

    def provider_id(self, domain: str) -> int:
        return self.providers[domain]

    def topic_id(self, name: str) -> int:
        slug = topic_slug(name)
        found = self.references.topic_ids.get(slug)
        return self.topics[slug] if found is None else found


_MOST_RECENT = 500
_recent: dict[str, dict[str, list[str]]] = {}
"""The names that this process used last, by store and table. The documents to which an article falls back often use
them too, and what such a document needs is known only under the writer lock."""


def prepare(
    engine: Engine,
    items: Sequence[BatchItem],
    now: datetime,
    *,
    known_raw: Mapping[bytes, datetime],
    more: Collection[EnrichedDocument | ReferenceCopy] = (),
) -> SharedRows:
    """Store the raw bytes of `items`, create their providers and topics, and set `parts` of each.

    `known_raw`: SHA-256 → `last_seen_at` of bytes that are stored. `more`: other contents whose providers and topics
    are needed. Raises SQLAlchemy's errors, and Unprepared if a provider or topic was deleted meanwhile.
    """
    shared = prepare_shared(engine, [*_contents(items), *more], items=items, now=now, known_raw=known_raw)
    _set_parts(items, shared)
    return shared


def queue_preparation(
    transaction: Flights, engine: Engine, items: Sequence[BatchItem], now: datetime
) -> Callable[[Mapping[str, str]], SharedRows]:
    """Queue what `prepare` does, in a transaction that holds the writer lock, so that nothing is deleted meanwhile.

    Call the returned function with the tokens of `SharedRows` once the flight was sent: it sets `parts` of the items and
    returns the shared rows.
    """
    dialect = engine.dialect.name
    domains, names = _shared_names(_contents(items))
    _keep_raw(transaction, dialect, items, now, {})
    queued = _queue_shared(transaction, dialect, domains, names, {"providers": list(domains), "topics": list(names)})

    def prepared(tokens: Mapping[str, str]) -> SharedRows:
        _send_better_names(transaction, dialect, queued.topics, names)
        references = current_references(engine, tokens.get("references"), transaction)
        shared = queued.shared(tokens, references)
        _set_parts(items, shared)
        return shared

    return prepared


def prepare_shared(
    engine: Engine,
    contents: Iterable[EnrichedDocument | ReferenceCopy],
    *,
    items: Sequence[BatchItem] = (),
    now: datetime | None = None,
    known_raw: Mapping[bytes, datetime] | None = None,
) -> SharedRows:
    """Return the ids of the providers and topics of `contents`, and the references; create rows that are missing."""
    domains, names = _shared_names(contents)
    store = str(engine.url)
    recent = _recent.pop(store, {})  # a failed transaction forgets them, so the recent ones are on disk
    wanted = {
        table: list(dict.fromkeys([*of_table, *recent.get(table, ())]))
        for table, of_table in (("providers", domains), ("topics", names))
    }
    # Rows that this transaction may create are durable before their ids are used: after a crash of the database an id
    # could be given to another name. The rest is durable with the batch, which commits later.
    is_known = all(len(of_table) == len(recent.get(table, ())) for table, of_table in wanted.items())
    with flights(engine, durable=not is_known) as transaction:
        dialect = engine.dialect.name
        tokens = transaction.fetch(TOKENS, {})  # first: what is deleted afterwards has another token
        if now is not None:
            _keep_raw(transaction, dialect, items, now, known_raw or {})
        queued = _queue_shared(transaction, dialect, domains, names, wanted)
        transaction.commit()
    _recent[store] = {table: of_table[:_MOST_RECENT] for table, of_table in wanted.items()}
    if any(_is_better(row, names) for row in queued.topics.rows):
        _improve_names(engine, names)
    known = dict(tokens.rows)
    return queued.shared(known, current_references(engine, known.get("references")))


class _Queued(NamedTuple):
    """The queries of `_queue_shared`. They have rows once the flight was sent."""

    providers: Result[Pair[str, int]]
    topics: Result[_Topic]

    def shared(self, tokens: Mapping[str, str], references: References) -> SharedRows:
        topic_ids = {row.slug: row.id for row in self.topics.rows}
        return SharedRows(references, dict(self.providers.rows), topic_ids, tokens.get(DELETIONS))


def _queue_shared(
    transaction: Flights,
    dialect: str,
    domains: Collection[str],
    names: Mapping[str, str],
    wanted: Mapping[str, list[str]],
) -> _Queued:
    """Create the providers and topics that are missing, and read those that are `wanted`."""
    if domains:
        rows: list[tuple[object, ...]] = [(domain, []) for domain in sorted(domains)]
        transaction.execute(insertion_of_missing(dialect, providers, ("domain", "other_names"), "domain", rows))
    if names:
        named = [(slug, names[slug]) for slug in sorted(names)]
        transaction.execute(insertion_of_missing(dialect, topics, ("slug", "name"), "slug", named))
    return _Queued(
        transaction.fetch(_PROVIDERS, {"domains": wanted["providers"]}),
        transaction.fetch(_TOPICS, {"slugs": wanted["topics"]}),
    )


def _contents(items: Iterable[BatchItem]) -> list[EnrichedDocument | ReferenceCopy]:
    return [content for item in items if (content := item.copy or item.reference) is not None]


def _set_parts(items: Iterable[BatchItem], shared: SharedRows) -> None:
    for item in items:
        if item.copy is not None:
            item.parts = parts_of(item.copy, shared)


def _is_better(row: _Topic, names: Mapping[str, str]) -> bool:
    """Return whether `names` (slug → name) has a better spelling of a topic without a reference document."""
    name = names.get(row.slug, row.name)
    return row.document_id is None and better_spelling(name, row.name) != row.name


def _improve_names(engine: Engine, names: Mapping[str, str]) -> None:
    """Give topics the better spelling of their name. Under the writer lock, because two processes may know one each."""
    with flights(engine, locks=WRITER_LOCK) as transaction:
        rows = transaction.fetch(_TOPICS, {"slugs": sorted(names)})
        transaction.send()
        _send_better_names(transaction, engine.dialect.name, rows, names)
        transaction.commit()


def _send_better_names(transaction: Flights, dialect: str, rows: Result[_Topic], names: Mapping[str, str]) -> None:
    better = [(row.id, names[row.slug]) for row in rows.rows if _is_better(row, names)]
    if better:
        transaction.execute(updating(dialect, topics, ("id", "name"), ("id",), better))


def _shared_names(contents: Iterable[EnrichedDocument | ReferenceCopy]) -> tuple[set[str], dict[str, str]]:
    """Return the domains of the providers that `contents` name, and the slug → name of their topics."""
    domains: set[str] = set()
    named: list[str] = []
    for content in contents:
        if isinstance(content, EnrichedDocument):
            refs = (content.provider, *(mention.provider for mention in content.related))
            domains.update(ref.domain for ref in refs if ref is not None)
            named += content.topics
        elif content.taxonomy == ORGANIZATION:
            domains.add(content.subject)
        else:
            named += [content.name, *([content.parent] if content.parent else [])]
    names: dict[str, str] = {}
    for name in named:
        slug = topic_slug(name)
        names[slug] = better_spelling(name, names.get(slug, name))
    return domains, names


def _keep_raw(
    transaction: Flights, dialect: str, items: Sequence[BatchItem], now: datetime, known: Mapping[bytes, datetime]
) -> None:
    rows = {item.sha256: (item.sha256, item.raw_size, item.raw, now) for item in items if item.sha256 is not None}
    missing = [rows[digest] for digest in sorted(rows) if digest not in known]
    if missing:
        names = ("sha256", "size", "bytes", "last_seen_at")
        transaction.execute(insertion(dialect, raw_documents, names, missing, _ON_KNOWN_RAW[dialect]))
    seen = [(digest, now) for digest in sorted(rows) if digest in known and now - known[digest] > SEEN_AGAIN]
    if seen:
        transaction.execute(updating(dialect, raw_documents, ("sha256", "last_seen_at"), ("sha256",), seen))
