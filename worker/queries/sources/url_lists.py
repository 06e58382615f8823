"""Reads the URLs of a news sitemap, an RSS or Atom feed, or plain lines. Nothing is fetched. Pure: no I/O.

The text comes from a site that may be hostile. Expat reads it without a document type declaration, so no entity can be
declared: nothing is expanded, and nothing outside the text is read.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.parsers import expat

from worker.errors import CopydeskError

MAX_BYTES = 100 << 20
_MAX_DEPTH = 100
_WITH_URL = ("loc", "link", "guid")
"""The elements whose text is a URL; the text of others is not kept."""
_URL = re.compile(r"https?://\S+", re.IGNORECASE)


class UnreadableList(CopydeskError):
    """Raised when a text is no list of URLs; the message says why."""


class UrlList(NamedTuple):
    """The URLs of a list in its order, each once, and how many of its lines or entries are no http or https URL."""

    urls: list[str]
    ignored: int


def read_urls(text: bytes) -> UrlList:
    """Return the URLs of a list. Raises UnreadableList."""
    if len(text) > MAX_BYTES:
        raise UnreadableList(f"The list has more than {MAX_BYTES >> 20} MiB.")
    start = text.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    found = _XmlList(text).urls if start.startswith(b"<") else _lines(text)
    given = [line for line in map(str.strip, found) if line]
    urls = [line for line in given if _URL.fullmatch(line)]
    if not urls:
        raise UnreadableList(
            "The list has no URL. It must be a sitemap, an RSS or Atom feed, or one URL a line (http:// or https://)."
        )
    return UrlList(list(dict.fromkeys(urls)), len(given) - len(urls))


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8-sig", "replace").splitlines()


class _XmlList:
    """The URLs of a sitemap (`url/loc`), of RSS (`item/link`, else a permanent `guid`) or of Atom (`entry/link`)."""

    def __init__(self, text: bytes) -> None:
        self.urls: list[str] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._link = ""
        self._guid = ""
        self._guid_is_link = True
        self._is_index = False
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True  # else each line break is a call of its own
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add
        try:
            parser.Parse(text.lstrip(b" \t\r\n"), True)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise UnreadableList(f"The list is not valid XML: {error}.") from None
        if self._is_index and not self.urls:
            raise UnreadableList("It is an index of sitemaps: give the sitemaps that it lists.")

    def _refuse(self, *_: object) -> None:
        raise UnreadableList("The list declares a document type; it is not read, because that can declare entities.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if len(self._path) >= _MAX_DEPTH:
            raise UnreadableList("The list is nested too deeply.")
        self._path.append(name)
        self._text.clear()
        parent = self._parent
        if local in ("item", "entry"):
            self._link = self._guid = ""
        elif local == "link" and parent == "entry" and attributes.get("rel", "alternate") == "alternate":
            self._link = self._link or attributes.get("href", "")
        elif local == "guid":
            self._guid_is_link = attributes.get("isPermaLink", "true") == "true"
        elif local == "sitemapindex":
            self._is_index = True

    def _add(self, text: str) -> None:
        if self._path[-1].rpartition(" ")[2] in _WITH_URL:
            self._text.append(text)

    def _end(self, name: str) -> None:
        namespace, _, local = name.rpartition(" ")
        text = "".join(self._text)
        parent = self._parent
        is_own = len(self._path) > 1 and self._path[-2].rpartition(" ")[0] == namespace  # not `image:loc`, `atom:link`
        if local == "loc" and parent == "url" and is_own:
            self.urls.append(text)
        elif local == "link" and parent == "item" and is_own:
            self._link = text
        elif local == "guid" and parent == "item" and self._guid_is_link:
            self._guid = text
        elif local in ("item", "entry"):
            self.urls.append(self._link.strip() or self._guid)
        self._path.pop()
        self._text.clear()

    @property
    def _parent(self) -> str:
        return self._path[-2].rpartition(" ")[2] if len(self._path) > 1 else ""
