"""Makes articles show what they must after some documents changed: tellers, aliases, links, stubs. Thin: it reads the
rows that `identity` decides on, and writes what it decided. Runs inside the writer's turn (`engine.enter_writer`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from worker.enrich.copy import Copy, from_form
from worker.enrich.topics import topic_slug
from worker.heat_rules import AllRules
from worker.store import rows
from worker.store.bulk import fetch, merge_ids, set_values
from worker.store.heat import Judged, judge_heat, sources_of
from worker.store.identity import Teller, newest_teller
from worker.store.names import NOTHING, Saying, note_sayings, provider_ids, topic_ids
from worker.store.parts import Parts, differ, stored_parts, write_difference
from worker.store.pictures import Picture, mark_placeholders, placeholders_among, standings
from worker.store.references import load_references
from worker.store.resolve import Refresh, contested, empty, named_stubs, resolve
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
    hanging = stored_parts(connection, old_ids)
    pictures = standings(hanging.pictures(), {row.id: row.title for row in before.values() if not row.is_stub})
    marked = _write_told(connection, work, rewritten, before)
    empty(connection, [(before[h].id, h, before[h].canonical_url) for h in left], now)
    work.sayings += [(Saying(before[h].provider_id, before[h].provider_name), NOTHING) for h in left]
    work.ids.update({url_hash: before[url_hash].id for url_hash in moved})

    meanings = left | set(papers) | {h for h in rewritten if h not in before or before[h].is_stub}
    shown, new_links, changing = _write_parts(connection, work, rewritten, hanging, marked)
    moved_ids = {before[url_hash].id for url_hash in moved}
    kept_ids = {before[url_hash].id for url_hash in rewritten & before.keys()}
    stubs = named_stubs(connection, moved_ids | kept_ids)
    _move_revision(connection, work, {h: before[h] for h in moved}, stubs)
    # What such a stub shows follows from who names it in which revision, and from the entry itself.
    named = {row.target_hash for row in stubs if row.source_id in kept_ids or row.named_by != row.source_id}
    rivals = contested(connection, moved_ids | kept_ids)
    resolve(connection, work, meanings | changing | rivals | named, new_links)
    told_ids = {work.ids[url_hash] for url_hash in rewritten}
    mark_placeholders(
        connection,
        pictures,
        standings(shown, {work.ids[h]: work.titles[h] for h in rewritten}),
        marked | hanging.placeholders(),
    )
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


def _write_told(connection: Connection, work: Refresh, hashes: set[bytes], before: Mapping[bytes, Any]) -> set[bytes]:
    """The articles themselves. Returns the hashes of those of their images that are placeholders."""
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
    work.ids.update(merge_ids(connection, articles, values, "url_hash", rows.SHOWN))
    for row in values:
        old = before.get(row["url_hash"])
        said = Saying(old.provider_id, old.provider_name) if old is not None else NOTHING
        work.sayings.append((said, Saying(row["provider_id"], row["provider_name"])))
        decides = (row["quality"], row["published_at"], row["title"])
        if old is not None and (old.quality, old.published_at, old.title) != decides:
            work.shifted.add(old.id)
    return marked


def _move_revision(connection: Connection, work: Refresh, moved: Mapping[bytes, Any], stubs: list[Any]) -> None:
    """Let articles that show the same as before carry their new revision, and the stubs that show their entries too."""
    ids = {row.document_id: h for h, row in moved.items() if row.revision != work.told[h].revision}
    revisions = {moved[h].id: work.told[h].revision for h in ids.values()}
    values = [
        {"id": moved[ids[row.id]].id, "revision": work.told[ids[row.id]].revision, "secured": row.secured}
        for row in fetch(connection, (documents.c.id, documents.c.secured), documents.c.id, ids)
    ]
    set_values(connection, articles, values, "id")
    values = [
        {"id": row.id, "revision": revisions[row.source_id]}
        for row in stubs if row.source_id in revisions and row.named_by == row.source_id
    ]  # fmt: skip
    set_values(connection, articles, values, "id")


def _write_parts(
    connection: Connection, work: Refresh, hashes: set[bytes], before: Parts, marked: set[bytes]
) -> tuple[list[Picture], list[dict[str, Any]], set[bytes]]:
    """Aliases, images and topics of the articles told anew, where they differ from those `before`.

    Returns (article, URL hash) of each image, those links that are new (where they lead is not known yet), and the hashes of the URLs that
    they no longer or newly claim or name.
    """
    told = [(work.ids[h], work.titles[h], work.copies[work.told[h].document_id]) for h in sorted(hashes)]
    claims = differ(
        article_urls, before,
        ({"article_id": id_, "claim": claim.claim, "url_hash": claim.url_hash, "url": claim.url}
         for id_, _, copy in told for claim in copy.claims),
    )  # fmt: skip
    write_difference(connection, article_urls, claims)
    pictures = [row for id_, _, copy in told for row in rows.image_rows(id_, copy.images, marked)]
    write_difference(connection, images, differ(images, before, pictures))
    find = work.references.finder.find
    found = topic_rows(connection, [(id_, copy.topics, find(title, copy.excerpt)) for id_, title, copy in told])
    write_difference(connection, article_topics, differ(article_topics, before, found))
    linked = differ(links, before, (
        {"source_id": id_, "kind": kind, "target_hash": target_hash, "target_id": None, "rank": rank}
        for id_, _, copy in told
        for kind, targets in (("related", (one.url_hash for one in copy.related)), ("contains", copy.contains))
        for rank, target_hash in enumerate(targets)
    ))  # fmt: skip
    new = linked.came
    write_difference(connection, links, replace(linked, came=[]))
    changing = {key[2] for key in (*claims.gone, *linked.gone)}
    changing |= {row["url_hash"] for row in claims.came} | {row["target_hash"] for row in new}
    return [(row["article_id"], row["url_hash"]) for row in pictures], new, changing


def topic_rows(connection: Connection, told: list[tuple[int, list[str], list[str]]]) -> list[dict[str, Any]]:
    """(article id, names stated, slugs found): the rows, stated before inferred; the first of a topic counts."""
    ids = topic_ids(connection, (name for _, stated, found in told for name in (*stated, *found)))
    stated_rows = [
        {"article_id": id_, "topic_id": ids[topic_slug(name)], "rank": rank, "origin": "stated"}
        for id_, stated, _ in told for rank, name in enumerate(stated)
    ]  # fmt: skip
    found_rows = [
        {"article_id": id_, "topic_id": ids[slug], "rank": rank, "origin": "inferred"}
        for id_, _, found in told for rank, slug in enumerate(found)
    ]  # fmt: skip
    return stated_rows + found_rows
