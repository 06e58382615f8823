"""Makes articles show what they must after some documents changed: tellers, aliases, links, stubs. Thin: it reads the
rows that `identity` decides on, and writes what it decided. Runs inside the writer's turn (`engine.enter_writer`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from worker.enrich.copy import Copy, Mention, from_form
from worker.store import rows
from worker.store.bulk import among, change, fetch, merge, remove
from worker.store.identity import Claimant, Naming, Teller, meaning, newest_mention, newest_teller
from worker.store.names import provider_ids, topic_ids
from worker.store.tables import article_topics, article_urls, articles, documents, images, links


@dataclass(slots=True)
class Refresh:
    """`touched`: url_hash of every article that a changed document told before or tells now.
    `copies`: the new contents of documents, by id; those that are not here are read from their stored form.
    """

    touched: set[bytes]
    copies: dict[int, Copy]
    now: datetime
    told: dict[bytes, Teller] = field(default_factory=dict)
    ids: dict[bytes, int] = field(default_factory=dict)


def refresh(
    connection: Connection, touched: Iterable[bytes], copies: Mapping[int, Copy], now: datetime
) -> dict[bytes, int]:
    """Bring every article of `touched`, and what hangs on it, up to date; returns url_hash → id of those told."""
    work = Refresh(set(touched), dict(copies), now)
    if not work.touched:
        return {}
    _choose_tellers(connection, work)
    before = {row.url_hash: row for row in fetch(
        connection, (articles.c.id, articles.c.url_hash, articles.c.document_id, articles.c.revision, articles.c.is_stub,
                     articles.c.canonical_url), articles.c.url_hash, work.touched)}  # fmt: skip
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
    meanings = set(rewritten) | left | _forget(connection, old_ids)
    _write_told(connection, work, rewritten)
    _empty(connection, [(before[h].id, h, before[h].canonical_url) for h in left], now)
    _move_revision(connection, work, {h: before[h] for h in moved})
    work.ids.update({url_hash: before[url_hash].id for url_hash in moved})

    new_links = _write_parts(connection, work, rewritten)
    meanings |= {row["target_hash"] for row in new_links}
    meanings |= {claim.url_hash for h in rewritten for claim in work.copies[work.told[h].document_id].claims}
    moved_ids = [before[url_hash].id for url_hash in moved]
    contested, named = _contested(connection, moved_ids)
    _resolve(connection, work, meanings | contested | named, new_links)
    return {url_hash: work.ids[url_hash] for url_hash in work.told}


def _choose_tellers(connection: Connection, work: Refresh) -> None:
    tellers: dict[bytes, list[Teller]] = defaultdict(list)
    columns = (documents.c.id, documents.c.revision, documents.c.article_hash, documents.c.retracted)
    for row in fetch(connection, columns, documents.c.article_hash, work.touched):
        if not row.retracted:
            tellers[row.article_hash].append(Teller(row.id, row.revision))
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
    related = links.c.kind == "related"
    for part in (ids[start : start + 10_000] for start in range(0, len(ids), 10_000)):
        found = select(links.c.target_hash).where(among(connection, links.c.source_id, part), related)
        hashes |= set(connection.scalars(found))
    remove(connection, links, links.c.source_id, ids, related)
    for table in (article_urls, images, article_topics):
        remove(connection, table, table.c.article_id, ids)
    return hashes


def _write_told(connection: Connection, work: Refresh, hashes: set[bytes]) -> None:
    copies = {h: work.copies[work.told[h].document_id] for h in sorted(hashes)}
    providers = provider_ids(connection, (copy.provider for copy in copies.values()))
    merge(
        connection,
        articles,
        [
            rows.told(
                copy,
                document_id=work.told[h].document_id,
                revision=work.told[h].revision,
                provider_id=providers[copy.provider.domain] if copy.provider else None,
                now=work.now,
            )
            for h, copy in copies.items()
        ],
        ["url_hash"],
        rows.SHOWN,
    )
    found = fetch(connection, (articles.c.url_hash, articles.c.id), articles.c.url_hash, copies)
    work.ids.update({row.url_hash: row.id for row in found})


def _empty(connection: Connection, left: list[tuple[int, bytes, str | None]], now: datetime) -> None:
    """Articles that nobody tells any more show nothing; those that are named become stubs in `_resolve`."""
    merge(connection, articles, [rows.orphan(h, url, now) for _, h, url in left], ["url_hash"], rows.SHOWN)


def _move_revision(connection: Connection, work: Refresh, moved: Mapping[bytes, Any]) -> None:
    """Let articles that show the same as before carry their new revision, and the stubs that show their entries too."""
    ids = {row.document_id: h for h, row in moved.items() if row.revision != work.told[h].revision}
    revisions = {moved[h].id: work.told[h].revision for h in ids.values()}
    change(
        connection,
        articles,
        "id",
        [
            {"id": moved[ids[row.id]].id, "revision": work.told[ids[row.id]].revision, "secured": row.secured}
            for row in fetch(connection, (documents.c.id, documents.c.secured), documents.c.id, ids)
        ],
    )
    # By the links, whose key begins with the source: `named_by` alone would read every article there is.
    stubs = links.join(articles, articles.c.url_hash == links.c.target_hash)
    shown = (links.c.kind == "related", articles.c.is_stub, articles.c.named_by == links.c.source_id)
    columns = (articles.c.id, articles.c.named_by)
    found = fetch(connection, columns, links.c.source_id, revisions, *shown, source=stubs)
    change(connection, articles, "id", [{"id": row.id, "revision": revisions[row.named_by]} for row in found])


def _write_parts(connection: Connection, work: Refresh, hashes: set[bytes]) -> list[dict[str, Any]]:
    """Aliases, images and topics of the articles told anew; returns their links, whose targets are not known yet."""
    told = [(work.ids[h], work.copies[work.told[h].document_id]) for h in sorted(hashes)]
    topics = topic_ids(connection, (name for _, copy in told for name in copy.topics))
    claims = [
        {"article_id": id_, "claim": claim.claim, "url_hash": claim.url_hash, "url": claim.url}
        for id_, copy in told for claim in copy.claims
    ]  # fmt: skip
    merge(connection, article_urls, claims, ["article_id", "claim", "url_hash"])
    pictures = [row for id_, copy in told for row in rows.image_rows(id_, copy.images)]
    merge(connection, images, pictures, ["article_id", "rank"])
    stated = [
        {"article_id": id_, "topic_id": topics[name.casefold()], "rank": rank, "origin": "stated"}
        for id_, copy in told for rank, name in enumerate(copy.topics)
    ]  # fmt: skip
    merge(connection, article_topics, stated, ["article_id", "topic_id"])
    return [
        {"source_id": id_, "kind": "related", "target_hash": mention.url_hash, "target_id": None, "rank": rank}
        for id_, copy in told for rank, mention in enumerate(copy.related)
    ]  # fmt: skip


def _contested(connection: Connection, ids: list[int]) -> tuple[set[bytes], set[bytes]]:
    """Of articles whose revision moved: the aliases that others claim too, and the stubs that show another's entry."""
    if not ids:
        return set(), set()
    claimed = {row.url_hash for row in fetch(connection, (article_urls.c.url_hash,), article_urls.c.article_id, ids)}
    rivals = fetch(connection, (article_urls.c.url_hash, article_urls.c.article_id), article_urls.c.url_hash, claimed)
    own = set(ids)
    named: set[bytes] = set()
    for part in (ids[start : start + 10_000] for start in range(0, len(ids), 10_000)):
        joined = links.join(articles, articles.c.url_hash == links.c.target_hash)
        found = select(links.c.target_hash).select_from(joined).where(
            among(connection, links.c.source_id, part), links.c.kind == "related",
            articles.c.is_stub, articles.c.named_by != links.c.source_id,
        )  # fmt: skip
        named |= set(connection.scalars(found))
    return {row.url_hash for row in rivals if row.article_id not in own or len(ids) > 1}, named


def _resolve(connection: Connection, work: Refresh, hashes: set[bytes], new_links: list[dict[str, Any]]) -> None:
    """Decide anew what each URL means, point its links there, and let its stub show the newest entry that names it."""
    columns = (articles.c.url_hash, articles.c.id, articles.c.is_stub, articles.c.named_by, articles.c.revision,
               articles.c.canonical_url, articles.c.orphaned_at)  # fmt: skip
    present = {row.url_hash: row for row in fetch(connection, columns, articles.c.url_hash, hashes)}
    told = {h: row.id for h, row in present.items() if not row.is_stub}
    claims: dict[bytes, list[Claimant]] = defaultdict(list)
    found = fetch(connection, (article_urls.c.url_hash, article_urls.c.article_id), article_urls.c.url_hash, hashes)
    live = {row.id: row.revision for row in fetch(
        connection, (articles.c.id, articles.c.revision), articles.c.id, {row.article_id for row in found})}  # fmt: skip
    for row in found:
        claims[row.url_hash].append(Claimant(row.article_id, live[row.article_id]))
    means = {h: meaning(h, told, claims) for h in hashes}

    namings: dict[bytes, list[Naming]] = defaultdict(list)
    others = fetch(
        connection,
        (links.c.target_hash, links.c.source_id, links.c.kind, links.c.target_id),
        links.c.target_hash,
        hashes,
    )
    named_by = {row.source_id for row in others if row.kind == "related"} | {row["source_id"] for row in new_links}
    revisions = {row.id: row.revision for row in fetch(
        connection, (articles.c.id, articles.c.revision), articles.c.id, named_by)}  # fmt: skip
    for row in others:
        if row.kind == "related":
            namings[row.target_hash].append(Naming(row.source_id, revisions[row.source_id]))
    for link in new_links:
        namings[link["target_hash"]].append(Naming(link["source_id"], revisions[link["source_id"]]))

    stubs = {h: newest_mention(namings[h]) for h in hashes if means[h] is None}
    _write_stubs(connection, work, stubs, present)
    ids = {**{h: row.id for h, row in present.items()}, **work.ids}
    target = {h: means[h] if means[h] is not None else ids.get(h) for h in hashes}
    merge(
        connection, links,
        [{**link, "target_id": target[link["target_hash"]]} for link in new_links],
        ["source_id", "kind", "target_hash"],
    )  # fmt: skip
    for url_hash in sorted({row.target_hash for row in others if row.target_id != target[row.target_hash]}):
        connection.execute(update(links).where(links.c.target_hash == url_hash).values(target_id=target[url_hash]))
    # A stub whose URL now means another article is named by nobody.
    idle = [(row.id, h, row.canonical_url) for h, row in present.items()
            if row.is_stub and means[h] is not None and row.orphaned_at is None]  # fmt: skip
    _empty(connection, idle, work.now)
    remove(connection, images, images.c.article_id, [id_ for id_, _, _ in idle])


def _write_stubs(
    connection: Connection, work: Refresh, stubs: Mapping[bytes, Naming | None], present: Mapping[bytes, Any]
) -> None:
    """Make stubs show the newest entry that names them, where they do not show it already."""
    stale: dict[bytes, Naming] = {}
    orphans: list[tuple[int, bytes, str | None]] = []
    for url_hash, naming in stubs.items():
        row = present.get(url_hash)
        if naming is None:
            if row is not None and row.orphaned_at is None:
                orphans.append((row.id, url_hash, row.canonical_url))
        elif row is None or (row.named_by, row.revision) != (naming.article_id, naming.revision):
            stale[url_hash] = naming
    _empty(connection, orphans, work.now)
    mentions = _mentions(connection, work, stale)
    providers = provider_ids(connection, (mention.provider for mention in mentions.values()))
    values = [
        rows.stub(
            mentions[h], named_by=stale[h].article_id, revision=stale[h].revision, now=work.now,
            provider_id=providers[provider.domain] if (provider := mentions[h].provider) else None,
        )
        for h in sorted(stale)
    ]  # fmt: skip
    merge(connection, articles, values, ["url_hash"], rows.SHOWN)
    found = fetch(connection, (articles.c.url_hash, articles.c.id), articles.c.url_hash, stale)
    work.ids.update({row.url_hash: row.id for row in found})
    remove(connection, images, images.c.article_id, [work.ids[h] for h in stale] + [id_ for id_, _, _ in orphans])
    pictures = [row for h in sorted(stale) for row in rows.image_rows(work.ids[h], mentions[h].images)]
    merge(connection, images, pictures, ["article_id", "rank"])


def _mentions(connection: Connection, work: Refresh, stale: Mapping[bytes, Naming]) -> dict[bytes, Mention]:
    """The entry of `related` that each stub is to show, from memory or from the stored form of its document."""
    sources = {naming.article_id for naming in stale.values()}
    document_of = {row.id: row.document_id for row in fetch(
        connection, (articles.c.id, articles.c.document_id), articles.c.id, sources)}  # fmt: skip
    missing = set(document_of.values()) - work.copies.keys()
    stored = {row.id: from_form(row.form, None) for row in fetch(
        connection, (documents.c.id, documents.c.form), documents.c.id, missing)}  # fmt: skip
    by_source = {
        source: {mention.url_hash: mention for mention in (work.copies.get(document) or stored[document]).related}
        for source, document in document_of.items()
    }
    return {h: by_source[naming.article_id][h] for h, naming in stale.items()}
