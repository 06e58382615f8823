"""Choose the image that represents an article, and recognise placeholder images."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

from worker.enrichment.enriched_document import ImageRef
from worker.enrichment.urls.canonical_urls import hash_of

SEVERAL_TITLES, MANY_TITLES = 3, 10
"""Numbers of different article titles with the same image. With `MANY_TITLES` the image is a logo or a placeholder,
whatever its URL. With `SEVERAL_TITLES` it is one only if its URL says so. In three collections 67 images had three or
more titles. Those with three to nine were nearly all pictures that a newsroom uses again (checked by hand), unless
their URL said otherwise.
"""

_MIN_TITLES = re.compile(
    r"(?:^|[^a-z])(?:logo(?!s)|default|placeholder|avatar|generic|no[-_]?image|no[-_]?photo|dummy|blank)", re.IGNORECASE
)

_ENOUGH = 480 * 270  # pixels; a larger image is not preferred to one of this size
_MOST_OBLONG = 3  # ratio of the longer side to the shorter one; beyond it an image is a banner


def best_image(images: Sequence[ImageRef], placeholders: Collection[bytes]) -> str | None:
    """Return the URL of the best image, or None if there is none except placeholders.

    Images that are not banners come first, then larger ones (up to `_ENOUGH` pixels), then the first in the document.
    `placeholders`: hashes of URLs (`image_hash`).
    """
    candidates = [image for image in images if image_hash(image.url) not in placeholders]
    return max(candidates, key=_worth).url if candidates else None  # `max` returns the first of equals


def is_placeholder(url: str, titles: int) -> bool:
    """Return whether an image that is used under `titles` different titles is a logo or a placeholder."""
    if titles < SEVERAL_TITLES:
        return False
    return titles >= MANY_TITLES or _MIN_TITLES.search(url.partition("?")[0]) is not None


def _worth(image: ImageRef) -> tuple[bool, int]:
    width, height = image.width or 0, image.height or 0
    oblong = width > height * _MOST_OBLONG or height > width * _MOST_OBLONG
    return not (oblong and width and height), min(width * height, _ENOUGH)


@lru_cache(maxsize=4_096)  # a batch asks several times for each, also under the writer lock
def image_hash(url: str) -> bytes:
    """Return the identity of an image: a hash of its URL as written, because any part of the URL can select a size."""
    return hash_of(url)


def absolute(url: str) -> str | None:
    """Return an image's absolute URL, or None for a path (`/assets/1.jpg`). `//host/1.jpg` lacks only the scheme."""
    if url.startswith("//"):
        return f"https:{url}"
    return None if url.startswith("/") else url
