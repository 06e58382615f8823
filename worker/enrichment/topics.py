"""Topics as stated, one spelling each, and those that an article's words tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from worker.enrichment.titles import clean

_WORD = re.compile(r"\w+(?:[+#]+)?")
_SHORTEST = 2  # characters of a keyword: a single letter is in every text
_ITEM_END = re.compile(r"((?<![.!?…])[.!?…]++(?:\s|$))|[,;:()|]|\s(and|or|&)\s")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?:\s|$)")
_LONGEST_ITEM = 4  # words
_FEWEST_ITEMS = 4


def topic_slug(name: str) -> str:
    """What the spellings of one topic have in common: case and white space aside."""
    return clean(name).casefold()


def stated_topics(topics: Iterable[str]) -> list[str]:
    """Cleaned, without repeats (case aside); the first spelling is kept."""
    chosen: dict[str, str] = {}
    for topic in topics:
        name = clean(topic)
        if name:
            chosen.setdefault(name.casefold(), name)
    return list(chosen.values())


class TopicFinder:
    """Finds topics by the keywords of their reference documents: whole words only, case and punctuation aside.

    A keyword is found with an s at its end too (`robot`, `robots`), and `self driving` in `self-driving`. Words are looked
    up by the first of each keyword, so that a text costs the same however many topics there are.

    What a text mentions in passing is not its topic. So an item of a list of four or more does not count. And of what the
    excerpt says once and the title never, a keyword of a single word counts in the first sentence only; one that is a
    part of the topic's name (`Harwich` of `Harwich Sailing`) counts only beside the rest of the name.
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
        titled = (title or "").casefold()
        found = {keyword.slug for keyword, _ in self._mentions(titled)}
        matched: dict[str, tuple[_Keyword, int]] = {}
        folded = (excerpt or "").casefold()
        for keyword, start in self._mentions(folded):
            if keyword.slug in matched:
                found.add(keyword.slug)
            matched.setdefault(keyword.slug, (keyword, start))
        for slug, (keyword, start) in matched.items():
            if slug not in found and _names_topic(keyword, start, titled, folded):
                found.add(slug)
        return sorted(found)

    def _mentions(self, text: str) -> Iterator[tuple[_Keyword, int]]:
        """The keywords in a text that are no item of a list, each with the place of its first character."""
        words = _WORD.findall(text)
        starts: list[int] = []
        lists: list[tuple[int, int]] = []
        for place, word in enumerate(words):
            for keyword in self._by_first.get(word, ()):
                if _follows(words, place + 1, keyword.rest):
                    if not starts:
                        starts, lists = [match.start() for match in _WORD.finditer(text)], _lists(text)
                    if not any(first <= starts[place] < end for first, end in lists):
                        yield keyword, starts[place]


class _Keyword(NamedTuple):
    """`beside`: the words of the topic's name that a keyword which is a part of it lacks."""

    rest: tuple[str, ...]
    slug: str
    beside: frozenset[str]


def _names_topic(keyword: _Keyword, start: int, title: str, excerpt: str) -> bool:
    """Whether a keyword that an excerpt has once, and the title not at all, is what the text is about."""
    if keyword.beside:
        return keyword.beside.issubset(_WORD.findall(title) + _WORD.findall(excerpt))
    end = _SENTENCE_END.search(excerpt)
    return bool(keyword.rest) or end is None or start < end.start()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _follows(words: list[str], start: int, rest: tuple[str, ...]) -> bool:
    if not rest:
        return True
    here = words[start : start + len(rest)]
    return here[:-1] == list(rest[:-1]) and len(here) == len(rest) and here[-1] in (rest[-1], rest[-1] + "s")


def _lists(text: str) -> list[tuple[int, int]]:
    """Where lists stand in a text, from character to character: four or more items in a row, none of over four words.
    What follows an `and` is an item too, though the sentence goes on with it.
    """
    lists: list[tuple[int, int]] = []
    row: list[int] = []  # the ends of the items of the list under way
    first = start = 0
    last = False
    for match in (*_ITEM_END.finditer(text), None):
        end = match.start() if match else len(text)
        count = len(_WORD.findall(text[start:end]))
        if 0 < count <= _LONGEST_ITEM:
            first = first if row else start
            row.append(end)
        if count > _LONGEST_ITEM or match is None or match.group(1):
            if len(row) + (last and count > _LONGEST_ITEM) >= _FEWEST_ITEMS:
                lists.append((first, row[-1]))
            row = []
        start = match.end() if match else end
        last = bool(match and match.group(2))
    return lists
