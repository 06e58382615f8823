"""Makes articles show what they must after some documents changed: tellers, aliases, links, stubs. Thin: it reads the
rows that `identity` decides on, and writes what it decided. Runs inside the writer's turn (`engine.enter_writer`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from worker.enrich.copy import Copy, from_form
from worker.enrich.heat import AllRules
from worker.enrich.topics import topic_slug
from worker.store import rows
from worker.store.bulk import among, fetch, merge, remove, set_values
from worker.store.heat import Judged, judge_heat, sources_of
from worker.store.identity import Teller, newest_teller
from worker.store.names import NOTHING, Saying, note_sayings, provider_ids, topic_ids
from worker.store.pictures import mark_placeholders, placeholders_among, standings
from worker.store.references import load_references
from worker.store.resolve import Refresh, contested, empty, resolve
from worker.store.tables import article_topics, article_urls, articles, documents, images, links


def refresh(
    connection: Connection,
    touched: Iterable[bytes],
    copies: Mapping[int, Copy],
    now: datetime,
    *,
    rules: AllRules,
    papers: Iterable[bytes] = (),
) -> tuple[dict[bytes, int], Judged]:
    """Bring every article of `touched`, and what hangs on it, up to date; `papers` are the hashes of the documents that
    changed. Returns url_hash → id of those told, and id → heat of those judged.
    """
    work = Refresh(set(touched), dict(copies), now, rules, load_references(connection))
    if not work.touched:
        return {}, {}
    _choose_tellers(connection, work)
    before = {row.url_hash: row for row in fetch(
        connection, (articles.c.id, articles.c.url_hash, articles.c.document_id, articles.c.revision, articles.c.is_stub,
                     articles.c.canonical_url, articles.c.title, articles.c.quality, articles.c.published_at,
                     articles.c.provider_id, articles.c.provider_name), articles.c.url_hash, work.touched)}  # fmt: skip
    # Shown already, in a version that differs at most in `secured`: only its revision moves.
    moved = {
        url_hash for url_hash, teller in work.told.items()
        if url_hash in before and before[url_hash].document_id == teller.document_id
        and teller.document_id not in work.copies
    }  # fmt: skip
    rewritten = set(work.told) - moved
    _load_copies(connection, work, rewritten)
    left = {
        url_hash for url_hash in work.touched - set(work.told) if url_hash in before and not before[url_hash].is_stub
    }

    old_ids = [before[url_hash].id for url_hash in (rewritten | left) & before.keys()]
    pictures = standings(connection, old_ids)
    meanings = set(rewritten) | left | _forget(connection, old_ids) | set(papers)
    _write_told(connection, work, rewritten, before)
    empty(connection, [(before[h].id, h, before[h].canonical_url) for h in left], now)
    work.sayings += [(Saying(before[h].provider_id, before[h].provider_name), NOTHING) for h in left]
    _move_revision(connection, work, {h: before[h] for h in moved})
    work.ids.update({url_hash: before[url_hash].id for url_hash in moved})

    new_links = _write_parts(connection, work, rewritten)
    meanings |= {row["target_hash"] for row in new_links}
    meanings |= {claim.url_hash for h in rewritten for claim in work.copies[work.told[h].document_id].claims}
    moved_ids = [before[url_hash].id for url_hash in moved]
    rivals, named = contested(connection, moved_ids)
    resolve(connection, work, meanings | rivals | named, new_links)
    told_ids = {work.ids[url_hash] for url_hash in rewritten}
    mark_placeholders(connection, pictures, standings(connection, told_ids))
    note_sayings(connection, work.sayings, now)
    judged = judge_heat(connection, told_ids | work.rejudged | sources_of(connection, work.shifted), rules)
    return {url_hash: work.ids[url_hash] for url_hash in work.told}, judged


def _choose_tellers(connection: Connection, work: Refresh) -> None:
    tellers: dict[bytes, list[Teller]] = defaultdict(list)
    columns = (documents.c.id, documents.c.revision, documents.c.article_hash, documents.c.retracted,
               documents.c.pipeline_version)  # fmt: skip
    for row in fetch(connection, columns, documents.c.article_hash, work.touched):
        if not row.retracted:
            tellers[row.article_hash].append(Teller(row.id, row.revision, row.pipeline_version))
    for url_hash, candidates in tellers.items():
        teller = newest_teller(candidates)
        if teller is not None:
            work.told[url_hash] = teller


def _load_copies(connection: Connection, work: Refresh, hashes: Iterable[bytes]) -> None:
    wanted = {work.told[h].document_id for h in hashes} - work.copies.keys()
    for row in fetch(connection, (documents.c.id, documents.c.form, documents.c.secured), documents.c.id, wanted):
        work.copies[row.id] = from_form(row.form, row.secured)


def _forget(connection: Connection, ids: list[int]) -> set[bytes]:
    """Remove what articles claimed, named and showed; returns the hashes whose meaning may change by that."""
    if not ids:
        return set()
    hashes = {row.url_hash for row in fetch(connection, (article_urls.c.url_hash,), article_urls.c.article_id, ids)}
    related = links.c.kind.in_(("related", "contains"))
    for part in (ids[start : start + 10_000] for start in range(0, len(ids), 10_000)):
        found = select(links.c.target_hash).where(among(connection, links.c.source_id, part), related)
        hashes |= set(connection.scalars(found))
    remove(connection, links, links.c.source_id, ids, related)
    for table in (article_urls, images, article_topics):
        remove(connection, table, table.c.article_id, ids)
    return hashes


def _write_told(connection: Connection, work: Refresh, hashes: set[bytes], before: Mapping[bytes, Any]) -> None:
    copies = {h: work.copies[work.told[h].document_id] for h in sorted(hashes)}
    providers = provider_ids(connection, (copy.provider for copy in copies.values()))
    marked = placeholders_among(connection, (image for copy in copies.values() for image in copy.images))
    work.titles = {h: work.references.title(copy.title, copy.provider) for h, copy in copies.items()}
    values = [
        rows.told(
            copy,
            title=work.titles[h],
            document_id=work.told[h].document_id,
            revision=work.told[h].revision,
            version=work.told[h].pipeline_version,
            provider_id=providers[copy.provider.domain] if copy.provider else None,
            placeholders=marked,
            now=work.now,
        )
        for h, copy in copies.items()
    ]
    merge(connection, articles, values, ["url_hash"], rows.SHOWN)
    for row in values:
        old = before.get(row["url_hash"])
        said = Saying(old.provider_id, old.provider_name) if old is not None else NOTHING
        work.sayings.append((said, Saying(row["provider_id"], row["provider_name"])))
        decides = (row["quality"], row["published_at"], row["title"])
        if old is not None and (old.quality, old.published_at, old.title) != decides:
            work.shifted.add(old.id)
    found = fetch(connection, (articles.c.url_hash, articles.c.id), articles.c.url_hash, copies)
    work.ids.update({row.url_hash: row.id for row in found})


def _move_revision(connection: Connection, work: Refresh, moved: Mapping[bytes, Any]) -> None:
    """Let articles that show the same as before carry their new revision, and the stubs that show their entries too."""
    ids = {row.document_id: h for h, row in moved.items() if row.revision != work.told[h].revision}
    revisions = {moved[h].id: work.told[h].revision for h in ids.values()}
    values = [
        {"id": moved[ids[row.id]].id, "revision": work.told[ids[row.id]].revision, "secured": row.secured}
        for row in fetch(connection, (documents.c.id, documents.c.secured), documents.c.id, ids)
    ]
    set_values(connection, articles, values, "id")
    # By the links, whose key begins with the source: `named_by` alone would read every article there is.
    stubs = links.join(articles, articles.c.url_hash == links.c.target_hash)
    shown = (links.c.kind == "related", articles.c.is_stub, articles.c.named_by == links.c.source_id)
    columns = (articles.c.id, articles.c.named_by)
    found = fetch(connection, columns, links.c.source_id, revisions, *shown, source=stubs)
    set_values(connection, articles, [{"id": row.id, "revision": revisions[row.named_by]} for row in found], "id")


def _write_parts(connection: Connection, work: Refresh, hashes: set[bytes]) -> list[dict[str, Any]]:
    """Aliases, images and topics of the articles told anew; returns their links, whose targets are not known yet."""
    told = [(work.ids[h], work.copies[work.told[h].document_id]) for h in sorted(hashes)]
    claims = [
        {"article_id": id_, "claim": claim.claim, "url_hash": claim.url_hash, "url": claim.url}
        for id_, copy in told for claim in copy.claims
    ]  # fmt: skip
    merge(connection, article_urls, claims, ["article_id", "claim", "url_hash"])
    marked = placeholders_among(connection, (image for _, copy in told for image in copy.images))
    pictures = [row for id_, copy in told for row in rows.image_rows(id_, copy.images, marked)]
    merge(connection, images, pictures, ["article_id", "rank"])
    write_topics(
        connection,
        [(work.ids[h], copy.topics, work.references.finder.find(work.titles[h], copy.excerpt))
         for h, copy in ((h, work.copies[work.told[h].document_id]) for h in sorted(hashes))],
    )  # fmt: skip
    related = [
        {"source_id": id_, "kind": "related", "target_hash": mention.url_hash, "target_id": None, "rank": rank}
        for id_, copy in told for rank, mention in enumerate(copy.related)
    ]  # fmt: skip
    items = [
        {"source_id": id_, "kind": "contains", "target_hash": item, "target_id": None, "rank": rank}
        for id_, copy in told for rank, item in enumerate(copy.contains)
    ]  # fmt: skip
    return related + items


def write_topics(connection: Connection, told: list[tuple[int, list[str], list[str]]]) -> None:
    """(article id, names stated, slugs found): each topic once, stated before inferred."""
    ids = topic_ids(connection, (name for _, stated, found in told for name in (*stated, *found)))
    stated_rows = [
        {"article_id": id_, "topic_id": ids[topic_slug(name)], "rank": rank, "origin": "stated"}
        for id_, stated, _ in told for rank, name in enumerate(stated)
    ]  # fmt: skip
    found_rows = [
        {"article_id": id_, "topic_id": ids[slug], "rank": rank, "origin": "inferred"}
        for id_, _, found in told for rank, slug in enumerate(found)
    ]  # fmt: skip
    # Two merges: of two rows in one, which stays would be the database's choice.
    merge(connection, article_topics, stated_rows, ["article_id", "topic_id"])
    merge(connection, article_topics, found_rows, ["article_id", "topic_id"])
