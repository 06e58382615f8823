"""Which image stands for an article, and which stands for nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from urllib.parse import urljoin

from worker.enrichment.canonical_urls import hash_of
from worker.enrichment.enriched_document import ImageRef

SEVERAL_TITLES, MANY_TITLES = 3, 10
"""Different titles under which one image stands. Under many it is a logo or a placeholder, whatever it is called; under
several only if its address says so. Of 67 images under three or more titles in three collections, those under three to
nine were nearly all pictures that a newsroom uses again (read by hand), unless their address told otherwise.
"""

_MIN_TITLES = re.compile(
    r"(?:^|[^a-z])(?:logo(?!s)|default|placeholder|avatar|generic|no[-_]?image|no[-_]?photo|dummy|blank)", re.IGNORECASE
)

_ENOUGH = 480 * 270  # pixels: larger ones are shown no better
_MOST_OBLONG = 3  # banners


def best_image(images: Sequence[ImageRef], placeholders: Collection[bytes]) -> str | None:
    """The URL of the image that shows most: no placeholder, no banner, large enough, first in the document.

    `placeholders` are hashes of URLs (`image_hash`). None: there is none, or only placeholders.
    """
    candidates = [image for image in images if image_hash(image.url) not in placeholders]
    return max(candidates, key=_worth).url if candidates else None  # of equals the first


def is_placeholder(url: str, titles: int) -> bool:
    """Whether an image that stands under so many different titles shows nothing of any of them."""
    if titles < SEVERAL_TITLES:
        return False
    return titles >= MANY_TITLES or _MIN_TITLES.search(url.partition("?")[0]) is not None


def _worth(image: ImageRef) -> tuple[bool, int]:
    width, height = image.width or 0, image.height or 0
    oblong = width > height * _MOST_OBLONG or height > width * _MOST_OBLONG
    return not (oblong and width and height), min(width * height, _ENOUGH)


def image_hash(url: str) -> bytes:
    """The identity of an image: its URL as written, for servers tell sizes apart by anything in it."""
    return hash_of(url)


def absolute(url: str, page: str | None) -> str | None:
    """An image's URL read against the page it stands on (RFC 3986, 5.2); None: it is relative and there is no page."""
    if not url.startswith("/"):
        return url
    return urljoin(page, url) if page else None
