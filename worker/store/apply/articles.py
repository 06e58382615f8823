"""Update article rows after documents changed.

Choose the document that each article shows, then rewrite aliases, links and stubs. The decisions are in
`decide/identity.py`; this module reads the rows they need and writes the results. All of it runs under the writer
lock (`engine.enter_writer`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from worker.enrichment.document_json import document_from_json
from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.topics import topic_slug
from worker.heat_rules import AllRules
from worker.store.apply.child_rows import ChildRows, differ, stored_parts, write_difference
from worker.store.apply.heat import HeatInputs, compute_heat, sources_of
from worker.store.apply.image_titles import Picture, image_titles, mark_placeholders, placeholders_among
from worker.store.apply.provider_references import load_references
from worker.store.apply.shared_names import NO_MENTION, ProviderMention, note_mentions, provider_ids, topic_ids
from worker.store.apply.url_resolution import Refresh, contested, empty, named_stubs, resolve
from worker.store.decide import article_rows
from worker.store.decide.identity import SourceDocument, newest_source_document
from worker.store.sql.statements import fetch, merge_ids, set_values
from worker.store.tables import article_topics, article_urls, articles, documents, images, links


def refresh(
    connection: Connection,
    touched: Iterable[bytes],
    copies: Mapping[int, EnrichedDocument],
    now: datetime,
    *,
    rules: AllRules,
    documents: Iterable[bytes] = (),
) -> tuple[dict[bytes, int], HeatInputs]:
    """Update the articles `touched` (url_hash) and all rows that depend on them. Call it under the writer lock.

    `copies`: new contents by document id; others are read from the store. `documents`: doc_hash of each document that
    began or ceased to describe an article. Returns url_hash → id of the articles that have a source document, and id
    → heat of the articles whose heat was computed.
    """
    work = Refresh(set(touched), dict(copies), now, rules, load_references(connection))
    if not work.touched:
        return {}, {}
    _choose_source_documents(connection, work)
    before = {row.url_hash: row for row in fetch(
        connection, (articles.c.id, articles.c.url_hash, articles.c.document_id, articles.c.revision, articles.c.is_stub,
                     articles.c.canonical_url, articles.c.title, articles.c.quality, articles.c.published_at,
                     articles.c.provider_id, articles.c.provider_name), articles.c.url_hash, work.touched)}  # fmt: skip
    # The article shows this document already, in a version that differs at most in `secured`: only the revision
    # changes.
    moved = {
        url_hash for url_hash, source_document in work.source_documents.items()
        if url_hash in before and before[url_hash].document_id == source_document.document_id
        and source_document.document_id not in work.copies
    }  # fmt: skip
    rewritten = set(work.source_documents) - moved
    _load_copies(connection, work, rewritten)
    left = {
        url_hash
        for url_hash in work.touched - set(work.source_documents)
        if url_hash in before and not before[url_hash].is_stub
    }

    old_ids = [before[url_hash].id for url_hash in (rewritten | left) & before.keys()]
    child_rows = stored_parts(connection, old_ids)
    images = image_titles(child_rows.image_titles(), {row.id: row.title for row in before.values() if not row.is_stub})
    marked = _write_published(connection, work, rewritten, before)
    empty(connection, [(before[h].id, h, before[h].canonical_url) for h in left], now)
    work.mentions += [(ProviderMention(before[h].provider_id, before[h].provider_name), NO_MENTION) for h in left]
    work.ids.update({url_hash: before[url_hash].id for url_hash in moved})

    resolved = left | set(documents) | {h for h in rewritten if h not in before or before[h].is_stub}
    shown, new_links, changing = _write_parts(connection, work, rewritten, child_rows, marked)
    moved_ids = {before[url_hash].id for url_hash in moved}
    stored_ids = {before[url_hash].id for url_hash in rewritten & before.keys()}
    stubs = named_stubs(connection, moved_ids | stored_ids)
    _move_revision(connection, work, {h: before[h] for h in moved}, stubs)
    # What such a stub shows depends on the articles that name it, on their revisions, and on the entry itself.
    named = {row.target_hash for row in stubs if row.source_id in stored_ids or row.named_by != row.source_id}
    competing = contested(connection, moved_ids | stored_ids)
    resolve(connection, work, resolved | changing | competing | named, new_links)
    published_ids = {work.ids[url_hash] for url_hash in rewritten}
    mark_placeholders(
        connection,
        images,
        image_titles(shown, {work.ids[h]: work.titles[h] for h in rewritten}),
        marked | child_rows.placeholders(),
    )
    note_mentions(connection, work.mentions, now)
    heats = compute_heat(
        connection, published_ids | work.recompute_heat | sources_of(connection, work.heat_dependents), rules
    )
    return {url_hash: work.ids[url_hash] for url_hash in work.source_documents}, heats


def _choose_source_documents(connection: Connection, work: Refresh) -> None:
    source_documents: dict[bytes, list[SourceDocument]] = defaultdict(list)
    columns = (documents.c.id, documents.c.revision, documents.c.article_hash, documents.c.retracted,
               documents.c.pipeline_version)  # fmt: skip
    for row in fetch(connection, columns, documents.c.article_hash, work.touched):
        if not row.retracted:
            source_documents[row.article_hash].append(SourceDocument(row.id, row.revision, row.pipeline_version))
    for url_hash, candidates in source_documents.items():
        source_document = newest_source_document(candidates)
        if source_document is not None:
            work.source_documents[url_hash] = source_document


def _load_copies(connection: Connection, work: Refresh, hashes: Iterable[bytes]) -> None:
    wanted = {work.source_documents[h].document_id for h in hashes} - work.copies.keys()
    for row in fetch(connection, (documents.c.id, documents.c.form, documents.c.secured), documents.c.id, wanted):
        work.copies[row.id] = document_from_json(row.form, row.secured)


def _write_published(
    connection: Connection, work: Refresh, hashes: set[bytes], before: Mapping[bytes, Any]
) -> set[bytes]:
    """Write the rows of `articles`. Returns the hashes of those of their images that are placeholders."""
    copies = {h: work.copies[work.source_documents[h].document_id] for h in sorted(hashes)}
    providers = provider_ids(connection, (copy.provider for copy in copies.values()))
    marked = placeholders_among(connection, (image for copy in copies.values() for image in copy.images))
    work.titles = {h: work.references.title(copy.title, copy.provider) for h, copy in copies.items()}
    values = [
        article_rows.published_columns(
            copy,
            title=work.titles[h],
            document_id=work.source_documents[h].document_id,
            revision=work.source_documents[h].revision,
            version=work.source_documents[h].pipeline_version,
            provider_id=providers[copy.provider.domain] if copy.provider else None,
            placeholders=marked,
            now=work.now,
        )
        for h, copy in copies.items()
    ]
    work.ids.update(merge_ids(connection, articles, values, "url_hash", article_rows.SHOWN))
    for row in values:
        old = before.get(row["url_hash"])
        mention = ProviderMention(old.provider_id, old.provider_name) if old is not None else NO_MENTION
        work.mentions.append((mention, ProviderMention(row["provider_id"], row["provider_name"])))
        decides = (row["quality"], row["published_at"], row["title"])
        if old is not None and (old.quality, old.published_at, old.title) != decides:
            work.heat_dependents.add(old.id)
    return marked


def _move_revision(connection: Connection, work: Refresh, moved: Mapping[bytes, Any], stubs: list[Any]) -> None:
    """Write the new revision of articles with unchanged content, and of the stubs that show their entries."""
    ids = {row.document_id: h for h, row in moved.items() if row.revision != work.source_documents[h].revision}
    revisions = {moved[h].id: work.source_documents[h].revision for h in ids.values()}
    values = [
        {"id": moved[ids[row.id]].id, "revision": work.source_documents[ids[row.id]].revision, "secured": row.secured}
        for row in fetch(connection, (documents.c.id, documents.c.secured), documents.c.id, ids)
    ]
    set_values(connection, articles, values, "id")
    values = [
        {"id": row.id, "revision": revisions[row.source_id]}
        for row in stubs if row.source_id in revisions and row.named_by == row.source_id
    ]  # fmt: skip
    set_values(connection, articles, values, "id")


def _write_parts(
    connection: Connection, work: Refresh, hashes: set[bytes], before: ChildRows, marked: set[bytes]
) -> tuple[list[Picture], list[dict[str, Any]], set[bytes]]:
    """Write aliases, images, topics and links of the rewritten articles where they differ from the rows `before`.

    New links are not written here, because their targets are not resolved yet. Returns (article id, URL hash) of each
    image, the rows of the new links, and the hashes of the URLs that the articles newly claim or name, or no longer do.
    """
    published = [
        (work.ids[h], work.titles[h], work.copies[work.source_documents[h].document_id]) for h in sorted(hashes)
    ]
    claims = differ(
        article_urls, before,
        ({"article_id": id_, "claim": claim.claim, "url_hash": claim.url_hash, "url": claim.url}
         for id_, _, copy in published for claim in copy.claims),
    )  # fmt: skip
    write_difference(connection, article_urls, claims)
    pictures = [row for id_, _, copy in published for row in article_rows.image_rows(id_, copy.images, marked)]
    write_difference(connection, images, differ(images, before, pictures))
    find = work.references.finder.find
    found = topic_rows(connection, [(id_, copy.topics, find(title, copy.excerpt)) for id_, title, copy in published])
    write_difference(connection, article_topics, differ(article_topics, before, found))
    linked = differ(links, before, (
        {"source_id": id_, "kind": kind, "target_hash": target_hash, "target_id": None, "rank": rank}
        for id_, _, copy in published
        for kind, targets in (("related", (one.url_hash for one in copy.related)), ("contains", copy.contains))
        for rank, target_hash in enumerate(targets)
    ))  # fmt: skip
    new = linked.came
    write_difference(connection, links, replace(linked, came=[]))
    changing = {key[2] for key in (*claims.gone, *linked.gone)}
    changing |= {row["url_hash"] for row in claims.came} | {row["target_hash"] for row in new}
    return [(row["article_id"], row["url_hash"]) for row in pictures], new, changing


def topic_rows(connection: Connection, published: list[tuple[int, list[str], list[str]]]) -> list[dict[str, Any]]:
    """Return the rows of `article_topics` for (article id, stated names, inferred slugs).

    Stated topics come before inferred ones. A topic may occur twice; callers must use the first row.
    """
    ids = topic_ids(connection, (name for _, stated, found in published for name in (*stated, *found)))
    stated_rows = [
        {"article_id": id_, "topic_id": ids[topic_slug(name)], "rank": rank, "origin": "stated"}
        for id_, stated, _ in published for rank, name in enumerate(stated)
    ]  # fmt: skip
    found_rows = [
        {"article_id": id_, "topic_id": ids[slug], "rank": rank, "origin": "inferred"}
        for id_, _, found in published for rank, slug in enumerate(found)
    ]  # fmt: skip
    return stated_rows + found_rows
