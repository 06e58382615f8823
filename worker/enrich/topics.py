"""Topics as stated, one spelling each, and those that an article's words tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from worker.enrich.text import clean

_WORD = re.compile(r"\w+(?:[+#]+)?")
_SHORTEST = 2  # characters of a keyword: a single letter is in every text


def topic_slug(name: str) -> str:
    """What the spellings of one topic have in common: case and white space aside."""
    return clean(name).casefold()


def stated_topics(topics: Iterable[str]) -> list[str]:
    """Cleaned, without repeats (case aside); the first spelling is kept."""
    kept: dict[str, str] = {}
    for topic in topics:
        name = clean(topic)
        if name:
            kept.setdefault(name.casefold(), name)
    return list(kept.values())


class TopicFinder:
    """Finds topics by the keywords of their reference documents: whole words only, case and punctuation aside.

    A keyword is found with an s at its end too (`robot`, `robots`), and `self driving` in `self-driving`. Words are looked
    up by the first of each keyword, so that a text costs the same however many topics there are.
    """

    def __init__(self, keywords: Mapping[str, Iterable[str]]) -> None:
        """`keywords`: slug → words."""
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for slug, phrases in keywords.items():
            for phrase in phrases:
                words = _words(clean(phrase))
                if sum(map(len, words)) >= _SHORTEST:
                    firsts = (words[0], words[0] + "s") if len(words) == 1 else (words[0],)
                    for first in firsts:
                        self._by_first.setdefault(first, []).append((tuple(words[1:]), slug))

    def find(self, title: str | None, excerpt: str | None) -> list[str]:
        """The slugs of the topics that title and excerpt speak of, in alphabetic order."""
        if not self._by_first:
            return []
        found: set[str] = set()
        for text in (title, excerpt):
            words = _words(text) if text else []
            for place, word in enumerate(words):
                for rest, slug in self._by_first.get(word, ()):
                    if slug not in found and _follows(words, place + 1, rest):
                        found.add(slug)
        return sorted(found)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _follows(words: list[str], start: int, rest: tuple[str, ...]) -> bool:
    if not rest:
        return True
    here = words[start : start + len(rest)]
    return here[:-1] == list(rest[:-1]) and len(here) == len(rest) and here[-1] in (rest[-1], rest[-1] + "s")
