"""Read and write the linker's links, of kind `similar` and `duplicate`.

Each is stored from both ends, so that `source_id` alone finds all links of an article.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.engine import Connection

from worker.store.linking.compared_articles import alive
from worker.store.sql.statements import fetch, fetch_from, merge
from worker.store.tables import article_urls, articles, links

KINDS = ("duplicate", "similar")

Place = tuple[int, bytes, str]
"""The key of a link: the id of its source, the url_hash of its target, its kind."""


@dataclass(slots=True, frozen=True)
class ArticleLink:
    """A link of an article, seen from it. `other` is the id of the article at the other end.

    `rank`: its place among the links that the article chose, from 0; None if only the other end chose it.
    """

    other: int
    kind: str
    score: float
    reason: str
    rank: int | None = None


def twins(connection: Connection, hashes: Mapping[bytes, int]) -> set[tuple[int, int]]:
    """Return pairs (claimant, article): the first claims the URL of the second, which is not a stub.

    For example an AMP copy that has a document of its own. `hashes`: url_hash → id of the articles to look up.
    """
    claims = (article_urls.c.article_id, article_urls.c.url_hash)
    found = fetch(connection, claims, article_urls.c.url_hash, hashes)
    found += fetch(connection, claims, article_urls.c.article_id, hashes.values())
    # Nearly all claims are of the article's own URL. A join would look up every article for them.
    others = {(claim, url_hash) for claim, url_hash in found if hashes.get(url_hash) != claim}
    columns = (articles.c.url_hash, articles.c.id, articles.c.is_stub)
    named = fetch(connection, columns, articles.c.url_hash, {url_hash for _, url_hash in others})
    published = {url_hash: id_ for url_hash, id_, is_stub in named if not is_stub}
    claimants = alive(connection, {claim for claim, url_hash in others if url_hash in published})
    return {(claim, published[url_hash]) for claim, url_hash in others if claim in claimants}


_LINKED = select(links.c.source_id, links.c.target_id).where(links.c.kind.in_(KINDS))

_STORED = (
    select(links, articles.c.id, articles.c.link_state)
    .select_from(links.outerjoin(articles, articles.c.url_hash == links.c.target_hash))
    .where(links.c.kind.in_(KINDS))
)

_CHOSEN = _LINKED.where(links.c.rank.is_not(None))


def chosen_by_others(connection: Connection, ids: Collection[int]) -> set[tuple[int, int]]:
    """Return (article of `ids`, the one at the other end) of the links that the other end chose."""
    ends = {row.target_id for row in fetch_from(connection, _LINKED, links.c.source_id, ids)}
    chosen = fetch_from(connection, _CHOSEN, links.c.source_id, ends - {None})
    return {(row.target_id, row.source_id) for row in chosen if row.target_id in ids}


def write_links(
    connection: Connection,
    hashes: Mapping[int, bytes],
    links_of: Mapping[int, Sequence[ArticleLink]],
    others: Mapping[int, bytes],
    *,
    keep_provisional: bool = False,
) -> set[int]:
    """Make `links_of` (id → links) the only links of the linker from each article of `hashes`.

    `keep_provisional`: of an article in `links_of`, links to articles in the state `provisional` stay until these are linked
    for good.

    Links to articles that are not in `others` are ignored. `hashes` and `others`: id → url_hash; `others` are the
    articles that have content. Returns the ids at the other end of every link that existed before.
    """
    stored = _stored_links(connection, hashes)
    wanted = _wanted_links(hashes, links_of, others)
    ids = {row.target_hash: row.id for row in stored.values() if row.id is not None}
    gone = stored.keys() - wanted.keys()
    if keep_provisional:
        waiting = {row.id for row in stored.values() if row.link_state == "provisional"} - hashes.keys()
        gone = {place for place in gone if stored[place].id not in waiting or place[0] not in links_of}
    _delete(connection, _both_ends(gone, hashes, ids))
    changed = {place: link for place, link in wanted.items() if _is_other(stored.get(place), link)}
    _merge(connection, [_row(place, link.other, link) for place, link in changed.items()], ["rank"])
    # The other end's own choice stays as it is.
    others_rows = [
        _row((link.other, hashes[place[0]], link.kind), place[0], replace(link, rank=None))
        for place, link in changed.items()
        if link.other not in hashes
    ]
    _merge(connection, others_rows, [])
    return set(ids.values())


def add_links(
    connection: Connection,
    hashes: Mapping[int, bytes],
    links_of: Mapping[int, Sequence[ArticleLink]],
    others: Mapping[int, bytes],
) -> set[int]:
    """Add `links_of` (id → links) from both ends; articles that are linked already stay linked as they are.

    `hashes` and `others` are those of `write_links`. Returns the ids of those in `hashes` that got a link.
    """
    stored = {(row.source_id, row.target_id) for row in fetch_from(connection, _LINKED, links.c.source_id, hashes)}
    rows: dict[Place, dict[str, Any]] = {}
    linked = set()
    for id_ in hashes:
        for link in links_of.get(id_, ()):
            if link.other in others and (id_, link.other) not in stored:
                linked.add(id_)
                for source, target, hash_ in (
                    (id_, link.other, others[link.other]),
                    (link.other, id_, hashes[id_]),
                ):
                    place = source, hash_, link.kind
                    rows[place] = _row(place, target, link)
    _merge(connection, rows.values(), [])
    return linked


def _wanted_links(
    hashes: Mapping[int, bytes], links_of: Mapping[int, Sequence[ArticleLink]], others: Mapping[int, bytes]
) -> dict[Place, ArticleLink]:
    """Return the links of the articles `hashes` by their places, without those to articles that are not in `others`."""
    return {
        (id_, others[link.other], link.kind): link
        for id_ in hashes
        for link in links_of.get(id_, ())
        if link.other in others
    }


def _stored_links(connection: Connection, sources: Iterable[int]) -> dict[Place, Row[Any]]:
    """Return the linker's links of these articles, with id and link state of the article at the other end (if any)."""
    found = fetch_from(connection, _STORED, links.c.source_id, sources)
    return {(row.source_id, row.target_hash, row.kind): row for row in found}


def _is_other(old: Row[Any] | None, link: ArticleLink) -> bool:
    return old is None or (old.score, old.reason, old.rank) != (link.score, link.reason, link.rank)


def _row(place: Place, target: int, link: ArticleLink) -> dict[str, Any]:
    """Return the row of a link from one end."""
    source, hash_, kind = place
    return {
        "source_id": source, "kind": kind, "target_hash": hash_, "target_id": target, "rank": link.rank,
        "score": link.score, "reason": link.reason,
    }  # fmt: skip


def _merge(connection: Connection, rows: Iterable[dict[str, Any]], more: Sequence[str]) -> None:
    """Write rows in the order of their keys; of those that exist score, reason, target and the columns `more`."""
    ordered = sorted(rows, key=lambda row: (row["source_id"], row["kind"], row["target_hash"]))
    merge(connection, links, ordered, ["source_id", "kind", "target_hash"], ["score", "reason", "target_id", *more])


def _both_ends(
    places: Iterable[Place], hashes: Mapping[int, bytes], ids: Mapping[bytes, int]
) -> list[tuple[int, str, bytes]]:
    """Return the keys of the links at `places` from both ends; from the other end only if that article still exists."""
    ends = []
    for id_, hash_, kind in places:
        ends.append((id_, kind, hash_))
        if hash_ in ids:
            ends.append((ids[hash_], kind, hashes[id_]))
    return ends


def _delete(connection: Connection, ends: list[tuple[int, str, bytes]]) -> None:
    if ends:
        one = delete(links).where(
            links.c.source_id == bindparam("source"), links.c.kind == bindparam("which"),
            links.c.target_hash == bindparam("target"),
        )  # fmt: skip
        names = ("source", "which", "target")
        connection.execute(one, [dict(zip(names, end, strict=True)) for end in sorted(set(ends))])
