"""Topics of an article: those that the document states, and those found in its title and excerpt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from worker.enrichment.titles import clean

_WORD = re.compile(r"\w+(?:[+#]+)?")
_SHORTEST = 2  # characters that a keyword needs; a single letter would match too often
_ITEM_END = re.compile(r"((?<![.!?…])[.!?…]++(?:\s|$))|[,;:()|]|\s(and|or|&)\s")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?:\s|$)")
_LONGEST_ITEM = 4  # words of an item of a list in a text
_LONGEST_ACRONYM = 5  # letters of an acronym such as `UNHCR`
_FEWEST_ITEMS = 4  # items that make a list


def topic_slug(name: str) -> str:
    """Return the slug of a topic, which is the same for spellings that differ in case or white space only."""
    return clean(name).casefold()


def better_spelling(one: str, other: str) -> str:
    """Return the better display name of two spellings of one topic.

    A spelling with capitals is better than one in lower case (`AI`, `Ferries`), except a long word that consists of
    capitals only (`FERRIES`). The order of the arguments has no effect, so neither has the order in which documents
    arrive.
    """
    return one if one == other else max(one, other, key=_spelling_merit)


def _spelling_merit(name: str) -> tuple[bool, int, str]:
    shouted = any(word.isupper() and len(word) > _LONGEST_ACRONYM for word in _WORD.findall(name))
    return not shouted, sum(map(str.isupper, name)), name


def stated_topics(topics: Iterable[str]) -> list[str]:
    """Return the topics cleaned and without repeats. Case is ignored, and the better spelling is kept."""
    chosen: dict[str, str] = {}
    for topic in topics:
        name = clean(topic)
        if name:
            slug = name.casefold()
            chosen[slug] = better_spelling(name, chosen.get(slug, name))
    return list(chosen.values())


class TopicFinder:
    """Finds topics in a text by the keywords of their reference documents.

    Only whole words match. Case and punctuation are ignored, so `self driving` matches `self-driving`. A keyword also
    matches with an s at its end (`robot`, `robots`). Keywords are indexed by their first word, so that the time for a
    text does not depend on the number of topics.

    A topic must not be found where a text only mentions it in passing. So an item of a list of four or more items does
    not count. Two more rules apply to a keyword that the excerpt contains once and the title does not contain. A
    keyword of one word counts only in the first sentence. A keyword that is a part of the topic's name (`Harwich` of
    `Harwich Sailing`) counts only if the text also contains the rest of the name.
    """

    def __init__(self, keywords: Mapping[str, Iterable[str]]) -> None:
        """`keywords`: slug of a topic → its keywords, each of one or more words."""
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
        """Return the slugs of the topics in title and excerpt, in alphabetic order."""
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
        """Yield the keywords in a text that are not in a list, each with the index of its first character."""
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
    """A keyword. `rest`: its words after the first. `beside`: the other words of the topic's name if it contains it."""

    rest: tuple[str, ...]
    slug: str
    beside: frozenset[str]


def _names_topic(keyword: _Keyword, start: int, title: str, excerpt: str) -> bool:
    """Return whether a keyword counts that the excerpt contains once, at `start`, and the title does not contain."""
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
    """Return the (start, end) of each list in a text: four or more items in a row, each of at most four words.

    The text after `and` counts as an item, even if the sentence continues after it.
    """
    lists: list[tuple[int, int]] = []
    row: list[int] = []  # the ends of the items of the current list
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
