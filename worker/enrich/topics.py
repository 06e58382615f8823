"""Topics as stated, one spelling each, and those that an article's words tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from worker.enrich.text import clean

_WORD = re.compile(r"\w+(?:[+#]+)?")
_SHORTEST = 2  # characters of a keyword: a single letter is in every text
_ITEM_END = re.compile(r"([.!?…]+(?:\s|$))|[,;:()|]|\s(?:and|or|&)\s")
_LONGEST_ITEM = 4  # words
_FEWEST_ITEMS = 4


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

    What a text mentions in passing is not its topic. So an item of a list of four or more does not count; and a keyword
    that is one part of the topic's name (`Harwich` of `Harwich Sailing`) counts in the title, when it is repeated, or
    beside the rest of the name.
    """

    def __init__(self, keywords: Mapping[str, Iterable[str]]) -> None:
        """`keywords`: slug → words."""
        self._by_first: dict[str, list[_Keyword]] = {}
        for slug, phrases in keywords.items():
            name = frozenset(_words(slug))
            for phrase in phrases:
                words = _words(clean(phrase))
                if sum(map(len, words)) >= _SHORTEST:
                    beside = name.difference(words) if name.issuperset(words) else frozenset()
                    firsts = (words[0], words[0] + "s") if len(words) == 1 else (words[0],)
                    for first in firsts:
                        self._by_first.setdefault(first, []).append(_Keyword(tuple(words[1:]), slug, beside))

    def find(self, title: str | None, excerpt: str | None) -> list[str]:
        """The slugs of the topics that title and excerpt speak of, in alphabetic order."""
        if not self._by_first:
            return []
        found: set[str] = set()
        parts: dict[str, list[frozenset[str]]] = {}
        told: set[str] = set()
        for text in (title, excerpt):
            folded = text.casefold() if text else ""
            words = _WORD.findall(folded)
            lists: list[tuple[int, int]] | None = None
            for place, word in enumerate(words):
                for keyword in self._by_first.get(word, ()):
                    if keyword.slug not in found and _follows(words, place + 1, keyword.rest):
                        if lists is None:
                            lists = _lists(folded)
                            starts = [match.start() for match in _WORD.finditer(folded)] if lists else []
                        if any(first <= starts[place] < end for first, end in lists):
                            continue
                        if keyword.beside and text is not title:
                            parts.setdefault(keyword.slug, []).append(keyword.beside)
                        else:
                            found.add(keyword.slug)
            told.update(words)
        found.update(slug for slug, beside in parts.items() if len(beside) > 1 or beside[0] <= told)
        return sorted(found)


class _Keyword(NamedTuple):
    """`beside`: the words of the topic's name that a keyword which is a part of it lacks."""

    rest: tuple[str, ...]
    slug: str
    beside: frozenset[str]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _follows(words: list[str], start: int, rest: tuple[str, ...]) -> bool:
    if not rest:
        return True
    here = words[start : start + len(rest)]
    return here[:-1] == list(rest[:-1]) and len(here) == len(rest) and here[-1] in (rest[-1], rest[-1] + "s")


def _lists(text: str) -> list[tuple[int, int]]:
    """Where lists stand in a text, from character to character: four or more items in a row, none of over four words."""
    lists: list[tuple[int, int]] = []
    row: list[int] = []  # the ends of the items of the list under way
    first = start = 0
    for match in (*_ITEM_END.finditer(text), None):
        end = match.start() if match else len(text)
        count = len(_WORD.findall(text[start:end]))
        closed = match is None or match.group(1) is not None
        if 0 < count <= _LONGEST_ITEM:
            first = first if row else start
            row.append(end)
        if count > _LONGEST_ITEM or closed:
            if len(row) >= _FEWEST_ITEMS:
                lists.append((first, row[-1]))
            row = []
        start = match.end() if match else end
    return lists
