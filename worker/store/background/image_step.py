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
from worker.store.decide.stored import ImageRow
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, Query
from worker.store.sql.statements import insertion, removal, updating
from worker.store.tables import articles, images, placeholder_images


class _Titles(NamedTuple):
    url_hash: bytes
    url: str | None
    titles: int
    is_marked: bool


class _Holder(NamedTuple):
    article_id: int


_FIRST_USES = 200
"""Usually these use a logo under more than enough titles. Only if not, all uses of the image are read."""
_COUNT = (
    "SELECT count(DISTINCT u.title) AS titles FROM (SELECT coalesce(a.title, '') AS title FROM images i"
    " JOIN articles a ON a.id = i.article_id WHERE i.url_hash = w.url_hash AND NOT a.is_stub{0}) u"
)
_TITLES = Query(
    _Titles,
    "WITH w(url_hash) AS ({table hashes}) SELECT w.url_hash,"  # noqa: S608  constants
    " (SELECT i.url FROM images i WHERE i.url_hash = w.url_hash LIMIT 1),"
    f" (SELECT CASE WHEN f.titles >= {MANY_TITLES} THEN f.titles ELSE ({_COUNT.format('')}) END"
    f" FROM ({_COUNT.format(f' ORDER BY i.article_id LIMIT {_FIRST_USES}')}) f),"
    " EXISTS (SELECT 1 FROM placeholder_images p WHERE p.url_hash = w.url_hash) FROM w",
    {"hashes": (images.c.url_hash,)},
    [None, None, None, images.c.is_placeholder],
)
_WRONG = Query(
    _Holder,
    "SELECT DISTINCT i.article_id FROM images i JOIN placeholder_images p ON p.url_hash = i.url_hash"
    " WHERE i.url_hash {in marked} AND NOT i.is_placeholder",
    {"marked": (images.c.url_hash,)},
    [None],
)
_RIGHT = Query(
    _Holder,
    "SELECT DISTINCT i.article_id FROM images i WHERE i.url_hash {in plain} AND i.is_placeholder",
    {"plain": (images.c.url_hash,)},
    [None],
)
_IMAGES = Query(
    ImageRow,
    "SELECT article_id, rank, url, width, height, is_cached, title, url_hash, is_placeholder FROM images"
    " WHERE article_id {in ids}",
    {"ids": (articles.c.id,)},
    [images.c[name] for name in ImageRow._fields],
)


def image_step(transaction: Flights, dialect: str, work: Sequence[UrlWork], progress: Progress) -> int:
    """Count the titles of images, mark or unmark them, and choose the best image of their articles again.

    It takes the writer lock before it counts. Returns how many articles got another mark.
    """
    transaction.lock(WRITER_LOCK)
    counted = transaction.fetch(_TITLES, {"hashes": [row.subject for row in work]})
    transaction.send()
    wanted = {row.url_hash: row.url is not None and is_placeholder(row.url, row.titles) for row in counted.rows}
    _mark(transaction, dialect, counted.rows, wanted)
    unmarked = transaction.fetch(_WRONG, {"marked": [h for h, is_wanted in wanted.items() if is_wanted]})
    marked = transaction.fetch(_RIGHT, {"plain": [h for h, is_wanted in wanted.items() if not is_wanted]})
    transaction.send()
    ids = {row.article_id for row in (*unmarked.rows, *marked.rows)}
    shown = transaction.fetch(_IMAGES, {"ids": list(ids)})
    transaction.send()
    if ids:
        marks = list(wanted.items())
        transaction.execute(updating(dialect, images, ("url_hash", "is_placeholder"), ("url_hash",), marks))
        transaction.execute(updating(dialect, articles, ("id", "image_url"), ("id",), _choices(shown.rows, wanted)))
    progress.finish(work)
    return len(ids)


def _mark(transaction: Flights, dialect: str, counted: Sequence[_Titles], wanted: dict[bytes, bool]) -> None:
    new = [(row.url_hash, row.url) for row in counted if wanted[row.url_hash] and not row.is_marked]
    old = [(row.url_hash,) for row in counted if row.is_marked and not wanted[row.url_hash]]
    if new:
        transaction.execute(insertion(dialect, placeholder_images, ("url_hash", "url"), new, "(url_hash) DO NOTHING"))
    if old:
        transaction.execute(removal(dialect, placeholder_images, ("url_hash",), old))


def _choices(rows: Sequence[ImageRow], wanted: dict[bytes, bool]) -> list[tuple[object, ...]]:
    """Return (article id, URL of its best image)."""
    refs: dict[int, list[ImageRef]] = defaultdict(list)
    marked = {row.url_hash for row in rows if row.url_hash is not None and row.is_placeholder}
    marked = {h for h in marked if wanted.get(h, True)} | {h for h, is_wanted in wanted.items() if is_wanted}
    for row in sorted(rows, key=lambda row: (row.article_id, row.rank)):
        refs[row.article_id].append(ImageRef(row.url, row.width, row.height, row.is_cached, row.title))
    return [(id_, best_image(refs[id_], marked)) for id_ in sorted(refs)]
