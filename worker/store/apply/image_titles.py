"""Mark images that appear under several titles as placeholders; choose an article's best image among the others.

The result is exact after each batch. Only articles that have a document count. The titles of a URL are counted only
when a title is added and the URL is not marked, or when a title is removed and the URL is marked. So few rows are
read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import distinct, func, select, update
from sqlalchemy.engine import Connection

from worker.enrichment.enriched_document import ImageRef
from worker.enrichment.image_choice import best_image, image_hash, is_placeholder
from worker.store.sql.statements import among, fetch, fetch_from, merge, remove, set_values
from worker.store.tables import articles, images, placeholder_images

Picture = tuple[int, bytes | None]
"""The id of the article that shows an image, and the image's URL hash."""

ImageTitle = tuple[bytes, str]
"""An image's URL hash, and the title of an article that shows it."""


_REPEATED = select(images.c.url_hash).group_by(images.c.url_hash).having(func.count() > 1)
_TITLES = (
    select(
        images.c.url_hash, func.min(images.c.url).label("url"), func.count(distinct(articles.c.title)).label("titles")
    )
    .join(articles, articles.c.id == images.c.article_id)
    .where(~articles.c.is_stub)
    .group_by(images.c.url_hash)
)


def placeholders_among(connection: Connection, images: Iterable[ImageRef]) -> set[bytes]:
    """Return the URL hashes of those of `images` that are marked as placeholders."""
    hashes = {image_hash(picture.url) for picture in images}
    if not hashes:
        return set()
    column = placeholder_images.c.url_hash
    return {row.url_hash for row in fetch(connection, (column,), column, hashes)}


def image_titles(images: Iterable[Picture], titles: Mapping[int, str | None]) -> set[ImageTitle]:
    """Pair images with the titles of their articles.

    `titles`: article id → title; images of other articles are left out.
    """
    return {
        (url_hash, titles[article_id] or "")
        for article_id, url_hash in images if article_id in titles and url_hash is not None
    }  # fmt: skip


def mark_placeholders(
    connection: Connection, before: set[ImageTitle], after: set[ImageTitle], marked: set[bytes]
) -> None:
    """Mark and unmark images by the added and removed titles, then choose the best image of their articles again.

    `marked`: those of the images that are marked already. Call it under the writer lock.
    """
    came = {url for url, _ in after - before}
    went = {url for url, _ in before - after}
    column = placeholder_images.c.url_hash
    titles = _count_titles(connection, (came - marked) | (went & marked))
    several = {digest for digest, (url, count) in titles.items() if is_placeholder(url, count)}
    new, old = several - marked, (went & marked) - several
    if not new and not old:
        return
    urls = {
        row.url_hash: row.url for row in fetch(connection, (images.c.url_hash, images.c.url), images.c.url_hash, new)
    }
    merge(connection, placeholder_images, [{"url_hash": h, "url": urls[h]} for h in sorted(new)], ["url_hash"])
    remove(connection, placeholder_images, column, old)
    for hashes, mark in ((new, True), (old, False)):
        if hashes:
            stale = update(images).where(among(connection, images.c.url_hash, hashes))
            connection.execute(stale.values(is_placeholder=mark))
    _choose_again(connection, new | old)


def _count_titles(connection: Connection, hashes: set[bytes]) -> dict[bytes, tuple[str, int]]:
    """Return URL hash → (URL, count of titles) of the images that several rows show; few images do."""
    repeated = [row.url_hash for row in fetch_from(connection, _REPEATED, images.c.url_hash, hashes)]
    found = fetch_from(connection, _TITLES, images.c.url_hash, repeated)
    return {row.url_hash: (row.url, int(row.titles)) for row in found}


def _choose_again(connection: Connection, hashes: set[bytes]) -> None:
    column = images.c.article_id
    holders = {row.article_id for row in fetch(connection, (column,), images.c.url_hash, hashes)}
    pictures: dict[int, list[ImageRef]] = defaultdict(list)
    marked: set[bytes] = set()
    rows = fetch(connection, tuple(images.c), column, holders)
    for row in sorted(rows, key=lambda row: (row.article_id, row.rank)):
        pictures[row.article_id].append(ImageRef(row.url, row.width, row.height, row.is_cached, row.title))
        if row.is_placeholder:
            marked.add(row.url_hash)
    values = [{"id": id_, "image_url": best_image(pictures[id_], marked)} for id_ in sorted(pictures)]
    set_values(connection, articles, values, "id")
