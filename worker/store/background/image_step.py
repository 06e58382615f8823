"""Mark images that appear under several titles as placeholders; choose an article's best image among the others.

Only the titles of articles that have a document count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from worker.enrichment.enriched_document import ImageRef
from worker.enrichment.image_choice import MANY_TITLES, best_image, is_placeholder
from worker.store.background.work_rows import Progress, UrlWork
from worker.store.decide.stored import Values
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights
from worker.store.sql.query import One, Query
from worker.store.sql.statements import insertion, removal, updating
from worker.store.tables import articles, images, placeholder_images


class _Titles(NamedTuple):
    url_hash: bytes
    url: str | None
    titles: int
    is_marked: bool


class _Use(NamedTuple):
    url_hash: bytes
    article_id: int
    is_placeholder: bool


class _Image(NamedTuple):
    article_id: int
    rank: int
    url: str
    width: int | None
    height: int | None
    is_cached: bool | None
    title: str | None
    url_hash: bytes | None
    is_placeholder: bool


STEP_USES = 500
"""Uses of images that one step looks at, if it has one image; of several images a share of them each."""
_FEWEST_USES = 10
_FIRST_USES = 200
"""Usually these use a logo under more than enough titles. Only if not, more uses of the image are read."""
MOST_USES = 5_000
"""Uses among which the titles are counted at most, because this is done under the writer lock."""
_COUNT = (
    "SELECT count(DISTINCT coalesce(a.title, '')) AS titles FROM (SELECT i.article_id FROM images i"
    " WHERE i.url_hash = w.url_hash ORDER BY i.article_id LIMIT {0}) u JOIN articles a ON a.id = u.article_id"
    " WHERE NOT a.is_stub"
)
_TITLES = Query(
    _Titles,
    "WITH w(url_hash) AS ({table hashes}) SELECT w.url_hash,"  # noqa: S608  constants
    " (SELECT i.url FROM images i WHERE i.url_hash = w.url_hash LIMIT 1),"
    f" (SELECT CASE WHEN f.titles >= {MANY_TITLES} THEN f.titles ELSE ({_COUNT.format('{limit most}')}) END"
    f" FROM ({_COUNT.format(_FIRST_USES)}) f),"
    " EXISTS (SELECT 1 FROM placeholder_images p WHERE p.url_hash = w.url_hash) FROM w",
    {"hashes": (images.c.url_hash,)},
)
_MARKS: Query[One[bytes]] = Query(
    One, "SELECT url_hash FROM placeholder_images WHERE url_hash {in hashes}", {"hashes": (images.c.url_hash,)}
)
_USES = Query(
    _Use,
    "WITH w(url_hash, last) AS ({table places}) SELECT i.url_hash, i.article_id, i.is_placeholder FROM w"  # noqa: S608  constants
    " JOIN images i ON i.url_hash = w.url_hash AND i.article_id > w.last AND i.article_id <= coalesce("
    "(SELECT x.article_id FROM images x WHERE x.url_hash = w.url_hash AND x.article_id > w.last ORDER BY x.article_id"
    f" LIMIT 1 OFFSET {{limit most}}), {2**62}) ORDER BY i.article_id",
    {"places": (images.c.url_hash, images.c.article_id)},
    images,
)
_IMAGES = Query(
    _Image,
    "SELECT article_id, rank, url, width, height, is_cached, title, url_hash, is_placeholder FROM images"
    " WHERE article_id {in ids}",
    {"ids": (articles.c.id,)},
    images,
)


def image_step(transaction: Flights, dialect: str, work: Sequence[UrlWork], progress: Progress) -> int:
    """Count the titles of images, mark or unmark them, and choose the best image of their articles again.

    The first step of a pass counts, under the writer lock; all steps write the mark into the next uses of the image. A
    batch that changes the count adds the work again. Returns how many articles got another mark.
    """
    most = max(_FEWEST_USES, STEP_USES // len(work))
    transaction.lock(WRITER_LOCK)
    new = [row.subject for row in work if row.cursor == 0]
    counted = transaction.fetch(_TITLES, {"hashes": new, "most": MOST_USES})
    marks = transaction.fetch(_MARKS, {"hashes": [row.subject for row in work if row.cursor > 0]})
    uses = transaction.fetch(_USES, {"places": [(row.subject, row.cursor) for row in work], "most": most})
    transaction.send()
    wanted = dict.fromkeys([row.subject for row in work], False) | dict.fromkeys(
        [row.value for row in marks.rows], True
    )
    wanted |= {row.url_hash: row.url is not None and is_placeholder(row.url, row.titles) for row in counted.rows}
    _mark(transaction, dialect, counted.rows, wanted)
    wrong = {(use.article_id, use.url_hash) for use in uses.rows if use.is_placeholder != wanted[use.url_hash]}
    ids = {article_id for article_id, _ in wrong}
    shown = transaction.fetch(_IMAGES, {"ids": list(ids)})
    transaction.send()
    if wrong:
        key = ("article_id", "url_hash")
        values: list[Values] = [(*use, wanted[use[1]]) for use in wrong]
        transaction.execute(updating(dialect, images, (*key, "is_placeholder"), key, values))
        transaction.execute(updating(dialect, articles, ("id", "image_url"), ("id",), _choices(shown.rows, wanted)))
    _proceed(work, uses.rows, most, progress)
    return len(ids)


def _proceed(work: Sequence[UrlWork], uses: Sequence[_Use], most: int, progress: Progress) -> None:
    """End the pass of each image of which all uses were looked at; the others continue after the last one."""
    pages: dict[bytes, list[int]] = defaultdict(list)
    for use in uses:
        pages[use.url_hash].append(use.article_id)
    for row in work:
        page = pages[row.subject]
        if len(page) > most:
            progress.advance(row, page[-1], 0)
        else:
            progress.finish([row])


def _mark(transaction: Flights, dialect: str, counted: Sequence[_Titles], wanted: dict[bytes, bool]) -> None:
    new = [(row.url_hash, row.url) for row in counted if wanted[row.url_hash] and not row.is_marked]
    old = [(row.url_hash,) for row in counted if row.is_marked and not wanted[row.url_hash]]
    if new:
        transaction.execute(insertion(dialect, placeholder_images, ("url_hash", "url"), new, "(url_hash) DO NOTHING"))
    if old:
        transaction.execute(removal(dialect, placeholder_images, ("url_hash",), old))


def _choices(rows: Sequence[_Image], wanted: dict[bytes, bool]) -> list[tuple[object, ...]]:
    """Return (article id, URL of its best image)."""
    refs: dict[int, list[ImageRef]] = defaultdict(list)
    marked = {row.url_hash for row in rows if row.url_hash is not None and row.is_placeholder}
    marked = {h for h in marked if wanted.get(h, True)} | {h for h, is_wanted in wanted.items() if is_wanted}
    for row in sorted(rows, key=lambda row: (row.article_id, row.rank)):
        refs[row.article_id].append(ImageRef(row.url, row.width, row.height, row.is_cached, row.title))
    return [(id_, best_image(refs[id_], marked)) for id_ in sorted(refs)]
