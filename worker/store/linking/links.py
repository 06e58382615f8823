"""The linker's queries: articles to compare, links of kind `similar` and `duplicate`, document frequencies of days.

Such a link is stored from both ends, so that `source_id` alone finds all links of an article.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, exists, func, insert, literal, literal_column, select, union_all, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.store.sql.statements import among, fetch, fetch_from, merge
from worker.store.tables import article_urls, articles, document_frequencies, links

KINDS = ("duplicate", "similar")
_PAGE = 2000
INDEXED = (
    articles.c.id, articles.c.title, articles.c.excerpt, articles.c.kind, articles.c.published_at, articles.c.first_seen_at,
    articles.c.changed_at, articles.c.orphaned_at, articles.c.provider_id,
)  # fmt: skip
"""The columns of an article that others are compared with."""
_IDENTITIES = (articles.c.url_hash, articles.c.id)
_COMPARED = (*INDEXED, articles.c.url_hash)
IS_PENDING = articles.c.link_state == literal_column("'pending'")
"""The article's current version was not linked yet. A literal, so that the partial index serves prepared statements."""
IS_PROVISIONAL = articles.c.link_state == literal_column("'provisional'")
"""It was linked with the frequencies known then, and is linked again when arrivals pause (see `linking/linker.py`)."""
IS_OUTDATED = articles.c.link_state == literal_column("'outdated'")
"""Its links are of an older rule. It is linked again when nothing else waits (see `outdated.py`)."""
IS_LINKED = articles.c.link_state == literal_column("'linked'")
WAS_SEEN = ~(IS_PENDING & (articles.c.changed_at == articles.c.first_seen_at))
"""An earlier version of the article may have been linked, or this one was. The others come to the linker for the first time."""


Place = tuple[int, bytes, str]
"""The key of a link: the id of its source, the url_hash of its target, its kind."""


@dataclass(slots=True, frozen=True)
class Tie:
    """A link to store, seen from one end. `other` is the id of the article at the other end.

    `rank`: its place among the links that the article chose, from 0; None if only the other end chose it.
    """

    other: int
    kind: str
    score: float
    reason: str
    rank: int | None = None


def time_of(row: Any) -> float:
    """Return an article's time in seconds since 1970: when it was published, else when it was first seen."""
    found: datetime = row.published_at or row.first_seen_at
    return found.timestamp()


def day_start(day: date) -> datetime:
    """Return the first moment of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def pending(connection: Connection, most: int, state: ColumnElement[bool] = IS_PENDING) -> Sequence[Any]:
    """Return (id, changed_at) of at most `most` articles that wait for the linker, oldest change first.

    `state`: `IS_PENDING`, or `IS_PROVISIONAL` for articles that are linked again.
    """
    waiting = select(articles.c.id, articles.c.changed_at).where(state)
    return connection.execute(waiting.order_by(articles.c.changed_at, articles.c.id).limit(most)).all()


def pending_count(connection: Connection) -> int:
    """Return how many articles wait for the linker: those not linked yet, and those that it links again."""
    return sum(
        int(connection.scalar(select(func.count()).select_from(articles).where(state)) or 0)
        for state in (IS_PENDING, IS_PROVISIONAL)
    )


def arrived(connection: Connection, day: date, kinds: Collection[str]) -> int:
    """Return how many articles of `kinds` with content were first seen on a day."""
    return int(connection.scalar(select(func.count()).select_from(articles).where(*arrivals(day, kinds))) or 0)


def seen_first(connection: Connection, day: date) -> int:
    """Return how many articles were first seen on a day, of any kind and with or without content."""
    query = select(func.count()).select_from(articles).where(*_within(articles.c.first_seen_at, day))
    return int(connection.scalar(query) or 0)


def newest_id(connection: Connection) -> int:
    """Return the largest article id, or 0. Each new article has a larger id."""
    return int(connection.scalar(select(func.max(articles.c.id))) or 0)


def arrivals(day: date, kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles of `kinds` with content that were first seen on a day, for `pages`."""
    return (*_within(articles.c.first_seen_at, day), *tellable(kinds))


def tellable(kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles of `kinds` with content (no orphans), for `pages`."""
    return articles.c.orphaned_at.is_(None), articles.c.kind.in_(kinds)


def changed_on(day: date) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles whose current version was written on a day, for `pages`."""
    return _within(articles.c.changed_at, day)


def _within(column: Any, day: date) -> tuple[ColumnElement[bool], ...]:
    return (column >= day_start(day), column < day_start(day + timedelta(days=1)))


def published_between(first: float, last: float) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for articles whose `time_of` is between two times (seconds since 1970), for `pages`."""
    low, high = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    published = articles.c.published_at.between(low, high)
    return (published | (articles.c.published_at.is_(None) & articles.c.first_seen_at.between(low, high)),)


def pages(
    connection: Connection,
    where: Iterable[ColumnElement[bool]] = (),
    columns: Sequence[Any] = _COMPARED,
    *,
    after: int = 0,
) -> Iterator[Sequence[Any]]:
    """Yield pages of the articles that match `where`, in the order of their ids, from the first id above `after`."""
    query = select(*columns).where(*where).order_by(articles.c.id).limit(_PAGE)
    while True:
        page = connection.execute(query.where(articles.c.id > after)).all()
        if not page:
            return
        yield page
        after = page[-1].id


def compared(connection: Connection, ids: Iterable[int]) -> dict[int, Row[Any]]:
    """Return id → the columns of an article that are compared."""
    return {row.id: row for row in fetch(connection, _COMPARED, articles.c.id, ids)}


def article_count(connection: Connection) -> int:
    """Return how many articles have content, stubs included."""
    query = select(func.count()).select_from(articles).where(articles.c.orphaned_at.is_(None))
    return int(connection.scalar(query) or 0)


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
_CHOSEN = _LINKED.where(links.c.rank.is_not(None))


def chosen_by_others(connection: Connection, ids: Collection[int]) -> set[tuple[int, int]]:
    """Return (article of `ids`, the one at the other end) of the links that the other end chose."""
    ends = {row.target_id for row in fetch_from(connection, _LINKED, links.c.source_id, ids)}
    chosen = fetch_from(connection, _CHOSEN, links.c.source_id, ends - {None})
    return {(row.target_id, row.source_id) for row in chosen if row.target_id in ids}


def write_links(
    connection: Connection, hashes: Mapping[int, bytes], ties: Mapping[int, Sequence[Tie]], others: Mapping[int, bytes]
) -> set[int]:
    """Make `ties` the only links of the linker from each article of `hashes`.

    Ties to articles that are not in `others` are ignored. `hashes` and `others`: id → url_hash; `others` are the
    articles that have content. Returns the ids at the other end of every link that exists now or existed before.
    """
    stored = _stored_links(connection, hashes)
    wanted = {
        (id_, others[tie.other], tie.kind): tie for id_ in hashes for tie in ties.get(id_, ()) if tie.other in others
    }
    targets = {hash_ for _, hash_, _ in stored}
    ids = {row.url_hash: row.id for row in fetch(connection, _IDENTITIES, articles.c.url_hash, targets)}
    _delete(connection, _both_ends(stored.keys() - wanted.keys(), hashes, ids))
    changed = {place: tie for place, tie in wanted.items() if _is_other(stored.get(place), tie)}
    _merge(connection, [_row(place, tie.other, tie) for place, tie in changed.items()], ["rank"])
    # The other end's own choice stays as it is.
    others_rows = [
        _row((tie.other, hashes[place[0]], tie.kind), place[0], replace(tie, rank=None))
        for place, tie in changed.items()
        if tie.other not in hashes
    ]
    _merge(connection, others_rows, [])
    ends = {**ids, **{others[tie.other]: tie.other for tie in wanted.values()}}
    return {ends[hash_] for _, hash_, _ in (*stored, *wanted) if hash_ in ends}


def _stored_links(connection: Connection, sources: Iterable[int]) -> dict[Place, Row[Any]]:
    """Return the linker's links of these articles."""
    columns = (links.c.source_id, links.c.target_hash, links.c.kind, links.c.score, links.c.reason, links.c.rank)
    found = fetch(connection, columns, links.c.source_id, sources)
    return {(row.source_id, row.target_hash, row.kind): row for row in found if row.kind in KINDS}


def _is_other(old: Row[Any] | None, tie: Tie) -> bool:
    return old is None or (old.score, old.reason, old.rank) != (tie.score, tie.reason, tie.rank)


def _row(place: Place, target: int, tie: Tie) -> dict[str, Any]:
    """Return the row of a link from one end."""
    source, hash_, kind = place
    return {
        "source_id": source, "kind": kind, "target_hash": hash_, "target_id": target, "rank": tie.rank,
        "score": tie.score, "reason": tie.reason,
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


def unchanged(connection: Connection, seen: Mapping[int, datetime]) -> dict[int, bytes]:
    """Return id → url_hash of the articles that have not changed since they were read. `seen`: id → changed_at."""
    columns = (articles.c.id, articles.c.changed_at, articles.c.url_hash)
    found = fetch(connection, columns, articles.c.id, seen)
    return {row.id: row.url_hash for row in found if row.changed_at == seen[row.id]}


def alive(connection: Connection, ids: Iterable[int]) -> dict[int, bytes]:
    """Return id → url_hash of the articles that have content (no orphans)."""
    columns = (articles.c.id, articles.c.url_hash, articles.c.orphaned_at)
    return {row.id: row.url_hash for row in fetch(connection, columns, articles.c.id, ids) if row.orphaned_at is None}


def mark_linked(connection: Connection, ids: Collection[int], state: str = "linked") -> None:
    """Set the link state of these articles to `linked`, or `provisional`, unless they are further already."""
    waits = IS_PENDING if state == "provisional" else ~IS_LINKED
    if ids:
        of_ids = among(connection, articles.c.id, sorted(ids))
        connection.execute(update(articles).where(of_ids, waits).values(link_state=state))


def completed_days(connection: Connection, before: date) -> Sequence[Row[Any]]:
    """Return the stored frequencies of the days of arrival before a day, oldest first."""
    stored = select(document_frequencies).where(document_frequencies.c.day < before)
    return connection.execute(stored.order_by(document_frequencies.c.day)).all()


def uncounted_days(connection: Connection, first: date, before: date, stored: Collection[date]) -> list[date]:
    """Return the days of arrival from `first` until `before` (excluded) that are not among `stored`.

    It looks for one article of each such day, instead of sorting the days of all articles.
    """
    days = [day for n in range((before - first).days) if (day := first + timedelta(days=n)) not in stored]
    some = [
        select(literal(n)).where(exists(select(articles.c.id).where(*_within(articles.c.first_seen_at, day))))
        for n, day in enumerate(days)
    ]
    return [days[n] for n in sorted(connection.scalars(union_all(*some)))] if some else []


def keep_day(connection: Connection, day: date, documents: int, counts: bytes) -> None:
    """Store the frequencies of a completed day, in place of those that an earlier version of Copydesk counted."""
    connection.execute(delete(document_frequencies).where(document_frequencies.c.day == day))
    connection.execute(insert(document_frequencies).values(day=day, documents=documents, counts=counts))


def forget_days(connection: Connection, before: date) -> None:
    """Delete the frequencies of the days before a day."""
    connection.execute(delete(document_frequencies).where(document_frequencies.c.day < before))
