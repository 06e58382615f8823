"""Resolve URLs after documents changed: update the targets of links and the content of stubs.

The decisions are in `decide/identity.py`. All of it runs under the writer lock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument, Mention
from worker.heat_rules import AllRules
from worker.store.apply.child_rows import differ, stored_parts, write_difference
from worker.store.apply.image_titles import placeholders_among
from worker.store.apply.provider_references import References
from worker.store.apply.shared_names import NO_MENTION, ProviderMention, provider_ids
from worker.store.decide import article_rows
from worker.store.decide.identity import AliasClaim, Reference, SourceDocument, newest_mention, resolve_url
from worker.store.sql.statements import fetch, fetch_from, insert_rows, merge, merge_ids, remove, set_values
from worker.store.tables import article_urls, articles, documents, images, links

_NAMED_STUBS = (
    # Stubs are found through the links, whose key begins with the source. A condition on `named_by` would scan all
    # articles.
    select(links.c.target_hash, links.c.source_id, articles.c.id, articles.c.named_by)
    .select_from(links.join(articles, articles.c.url_hash == links.c.target_hash))
    .where(links.c.kind == "related", articles.c.is_stub)
)
_AIMS = select(links.c.target_hash, links.c.kind, links.c.target_id).distinct()
_NAMED = select(links.c.target_hash, links.c.source_id).where(links.c.kind == "related")
_LIVE_DOCUMENTS = select(documents.c.doc_hash, documents.c.article_hash).where(
    ~documents.c.retracted, documents.c.taxonomy.is_(None)
)
_REFERRED_BY = ("named_by", "revision")
_SHOWS = tuple(name for name in article_rows.SHOWN if name not in (*_REFERRED_BY, "link_state", "changed_at"))
_SOURCE_DOCUMENTS = select(articles.c.url_hash, articles.c.id).where(~articles.c.is_stub)


@dataclass(slots=True)
class Refresh:
    """The state of one update of articles.

    `touched`: url_hash of every article that a changed document described before or describes now.
    `copies`: the new contents of documents, by id. Contents that are not here are read from `documents.form`.
    `source_documents`: the document that each article shows. `ids` and `titles`: of the articles, by url_hash.
    """

    touched: set[bytes]
    copies: dict[int, EnrichedDocument]
    now: datetime
    rules: AllRules
    references: References
    source_documents: dict[bytes, SourceDocument] = field(default_factory=dict)
    ids: dict[bytes, int] = field(default_factory=dict)
    titles: dict[bytes, str | None] = field(default_factory=dict)
    heat_dependents: set[int] = field(default_factory=set)
    """Articles whose quality, time or title changed: the heat of the articles that list them depends on these."""
    recompute_heat: set[int] = field(default_factory=set)
    """Articles whose heat must be computed again."""
    mentions: list[tuple[ProviderMention, ProviderMention]] = field(default_factory=list)
    """(before, after): the provider and the name by which an article mentions it."""


def contested(connection: Connection, ids: Iterable[int]) -> set[bytes]:
    """Return the aliases of the articles `ids` that other articles claim too: the newest claim wins."""
    claims = article_urls.c
    claimed = {row.url_hash for row in fetch(connection, (claims.url_hash,), claims.article_id, ids)}
    claimants: dict[bytes, set[int]] = defaultdict(set)
    for row in fetch(connection, (claims.url_hash, claims.article_id), claims.url_hash, claimed):
        claimants[row.url_hash].add(row.article_id)
    return {url_hash for url_hash, of in claimants.items() if len(of) > 1}


def named_stubs(connection: Connection, ids: Iterable[int]) -> list[Any]:
    """Return the stubs that the articles `ids` name: (target_hash, source_id, id, named_by)."""
    return fetch_from(connection, _NAMED_STUBS, links.c.source_id, ids)


def resolve(connection: Connection, work: Refresh, hashes: set[bytes], new_links: list[dict[str, Any]]) -> None:
    """Resolve each URL of `hashes` again, update the targets of its links, and write its stub from the newest mention.

    Sets `target_id` in `new_links` and inserts them. Call it under the writer lock.
    """
    columns = (articles.c.url_hash, articles.c.id, articles.c.is_stub, articles.c.named_by, articles.c.revision,
               articles.c.canonical_url, articles.c.orphaned_at, articles.c.quality, articles.c.published_at,
               articles.c.title, articles.c.provider_id, articles.c.provider_name)  # fmt: skip
    present = {row.url_hash: row for row in fetch(connection, columns, articles.c.url_hash, hashes)}
    published = {h: row.id for h, row in present.items() if not row.is_stub}
    means = _resolve_urls(connection, work, hashes, published)
    aims = fetch_from(connection, _AIMS, links.c.target_hash, hashes)
    items = {target_hash for target_hash, kind, _ in aims if kind == "contains"}
    items |= {row["target_hash"] for row in new_links if row["kind"] == "contains"}
    means.update(_source_documents(connection, items))
    stubs = _newest_mentions(connection, work, {h for h in hashes if means[h] is None}, new_links)
    _write_stubs(connection, work, stubs, present)
    ids = {**{h: row.id for h, row in present.items()}, **work.ids}
    # An item of a collection creates no stub: a document that only collections name has no target yet.
    target = {h: means[h] if means[h] is not None else ids.get(h) if stubs.get(h) else None for h in hashes}
    misdirected = sorted({target_hash for target_hash, _, target_id in aims if target_id != target[target_hash]})
    work.recompute_heat |= {row.source_id for row in fetch_from(connection, _NAMED, links.c.target_hash, misdirected)}
    set_values(connection, links, [{"target_hash": h, "target_id": target[h]} for h in misdirected], "target_hash")
    for link in new_links:
        link["target_id"] = target[link["target_hash"]]
    insert_rows(connection, links, new_links)
    # A stub whose URL now resolves to another article is no longer named by anyone.
    idle = [row for h, row in present.items() if row.is_stub and means[h] is not None and row.orphaned_at is None]
    empty(connection, [(row.id, row.url_hash, row.canonical_url) for row in idle], work.now)
    work.mentions += [(ProviderMention(row.provider_id, row.provider_name), NO_MENTION) for row in idle]
    remove(connection, images, images.c.article_id, [row.id for row in idle])


def _resolve_urls(
    connection: Connection, work: Refresh, hashes: set[bytes], published: Mapping[bytes, int]
) -> dict[bytes, int | None]:
    """Return url_hash → id of the article that it resolves to.

    Claims count only for URLs without an article of their own.
    """
    columns = (article_urls.c.url_hash, article_urls.c.article_id)
    claimed = fetch(connection, columns, article_urls.c.url_hash, hashes - published.keys())
    revisions = _revisions(connection, work, {article_id for _, article_id in claimed})
    claims: dict[bytes, list[AliasClaim]] = defaultdict(list)
    for url_hash, article_id in claimed:
        claims[url_hash].append(AliasClaim(article_id, revisions[article_id]))
    return {h: resolve_url(h, published, claims) for h in hashes}


def _newest_mentions(
    connection: Connection, work: Refresh, nameless: set[bytes], new_links: list[dict[str, Any]]
) -> dict[bytes, Reference | None]:
    """Return the newest mention of each URL that resolves to no article; None: nobody names it."""
    named = [(target, source) for target, source in fetch_from(connection, _NAMED, links.c.target_hash, nameless)]
    named += [(link["target_hash"], link["source_id"]) for link in new_links
              if link["kind"] == "related" and link["target_hash"] in nameless]  # fmt: skip
    revisions = _revisions(connection, work, {source for _, source in named})
    namings: dict[bytes, list[Reference]] = defaultdict(list)
    for target, source in named:
        namings[target].append(Reference(source, revisions[source]))
    return {h: newest_mention(namings[h]) for h in nameless}


def _revisions(connection: Connection, work: Refresh, ids: set[int]) -> dict[int, str]:
    """Return the revisions of the articles `ids`, including those that this batch has just written."""
    revisions = {
        work.ids[h]: source_document.revision for h, source_document in work.source_documents.items()
    }  # written just now
    columns = (articles.c.id, articles.c.revision)
    return revisions | {
        row.id: row.revision for row in fetch(connection, columns, articles.c.id, ids - revisions.keys())
    }


def _write_stubs(
    connection: Connection, work: Refresh, stubs: Mapping[bytes, Reference | None], present: Mapping[bytes, Any]
) -> None:
    """Write the stubs that do not show the newest entry that names them yet.

    A stub without a mention becomes an orphan.
    """
    stale: dict[bytes, Reference] = {}
    orphans: list[tuple[int, bytes, str | None]] = []
    for url_hash, reference in stubs.items():
        row = present.get(url_hash)
        if reference is None:
            if row is not None and row.orphaned_at is None:
                orphans.append((row.id, url_hash, row.canonical_url))
                work.mentions.append((ProviderMention(row.provider_id, row.provider_name), NO_MENTION))
        elif row is None or (row.named_by, row.revision) != (reference.article_id, reference.revision):
            stale[url_hash] = reference
    empty(connection, orphans, work.now)
    mentions = _mentions(connection, work, stale)
    providers = provider_ids(connection, (mention.provider for mention in mentions.values()))
    marked = placeholders_among(connection, (image for mention in mentions.values() for image in mention.images))
    values = [
        article_rows.stub(
            mentions[h], named_by=stale[h].article_id, revision=stale[h].revision, now=work.now, placeholders=marked,
            provider_id=providers[provider.domain] if (provider := mentions[h].provider) else None,
        )
        for h in sorted(stale)
    ]  # fmt: skip
    known = {h: present[h].id for h in sorted(stale.keys() & present.keys())}
    drawn = differ(images, stored_parts(connection, list(known.values()), (images,)), (
        row for h, id_ in known.items() for row in article_rows.image_rows(id_, mentions[h].images, marked)))  # fmt: skip
    redrawn = {row["article_id"] for row in (*drawn.came, *drawn.changed)} | {key[0] for key in drawn.gone}
    rewritten = {known[row["url_hash"]]: row for row in values if row["url_hash"] in known}
    # The new entry has the same content: nothing visible has changed, and the linker need not process it again.
    same = _showing(connection, rewritten) - redrawn
    set_values(connection, articles, [
        {"id": id_, **{name: rewritten[id_][name] for name in _REFERRED_BY}} for id_ in sorted(same)], "id")  # fmt: skip
    changed = [row for row in values if known.get(row["url_hash"]) not in same]
    work.ids.update({**known, **merge_ids(connection, articles, changed, "url_hash", article_rows.SHOWN)})
    write_difference(connection, images, drawn)
    pictures = [row for h in sorted(stale.keys() - known.keys())
                for row in article_rows.image_rows(work.ids[h], mentions[h].images, marked)]  # fmt: skip
    insert_rows(connection, images, pictures)
    remove(connection, images, images.c.article_id, [id_ for id_, _, _ in orphans])
    for row in changed:
        _note_stub(work, row, present.get(row["url_hash"]))


def _showing(connection: Connection, wanted: Mapping[int, dict[str, Any]]) -> set[int]:
    """Return the ids of the articles whose content already equals `wanted` (id → row), whichever article names them."""
    columns = (articles.c.id, *(articles.c[name] for name in _SHOWS))
    found = fetch(connection, columns, articles.c.id, wanted)
    return {
        row.id
        for row in found
        if all(value == wanted[row.id][name] for name, value in zip(_SHOWS, row[1:], strict=True))
    }


def _mentions(connection: Connection, work: Refresh, stale: Mapping[bytes, Reference]) -> dict[bytes, Mention]:
    """Return the entry of `related` that each stub shows, from memory or from the stored form of its document."""
    sources = {reference.article_id for reference in stale.values()}
    published = {work.ids[h]: source_document.document_id for h, source_document in work.source_documents.items()}
    document_of = {id_: published[id_] for id_ in sources & published.keys()}
    document_of |= {row.id: row.document_id for row in fetch(
        connection, (articles.c.id, articles.c.document_id), articles.c.id, sources - published.keys())}  # fmt: skip
    missing = set(document_of.values()) - work.copies.keys()
    stored = {row.id: document_from_json(row.form, None) for row in fetch(
        connection, (documents.c.id, documents.c.form), documents.c.id, missing)}  # fmt: skip
    by_source = {
        source: {mention.url_hash: mention for mention in (work.copies.get(document) or stored[document]).related}
        for source, document in document_of.items()
    }
    return {h: by_source[reference.article_id][h] for h, reference in stale.items()}


def _note_stub(work: Refresh, row: dict[str, Any], before: Any) -> None:
    """Note what depends on a stub's changed content: the heat of articles that list it, its provider's names."""
    mention = ProviderMention(before.provider_id, before.provider_name) if before is not None else NO_MENTION
    work.mentions.append((mention, ProviderMention(row["provider_id"], row["provider_name"])))
    decides = (row["quality"], row["published_at"], row["title"])
    if before is not None and (before.quality, before.published_at, before.title) != decides:
        work.heat_dependents.add(before.id)


def _source_documents(connection: Connection, named: set[bytes]) -> dict[bytes, int | None]:
    """Return doc_hash → id of the article that the document describes; None: it describes none that is stored.

    Items of collections name documents by source and key. They create no stubs.
    """
    papers = fetch_from(connection, _LIVE_DOCUMENTS, documents.c.doc_hash, named)
    published = fetch_from(connection, _SOURCE_DOCUMENTS, articles.c.url_hash, {row.article_hash for row in papers})
    shows = {row.url_hash: row.id for row in published}
    return {row.doc_hash: shows.get(row.article_hash) for row in papers}


def empty(connection: Connection, left: list[tuple[int, bytes, str | None]], now: datetime) -> None:
    """Clear articles, given as (id, url_hash, URL), that have no document any more.

    `resolve` turns named ones into stubs.
    """
    merge(
        connection, articles, [article_rows.orphan(h, url, now) for _, h, url in left], ["url_hash"], article_rows.SHOWN
    )
