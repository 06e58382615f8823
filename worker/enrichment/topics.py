"""Topics of an article: those that the document states, and those found in its title and excerpt."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from worker.enrichment.titles import clean

_WORD = re.compile(r"\w+(?:[+#]+)?")
_SHORTEST = 2  # characters that a keyword needs; a single letter would match too often
_ITEM_END = re.compile(r"((?<![.!?…])[.!?…]++(?:\s|$))|[,;:()|]|\s(and|or|&)\s")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?:\s|$)")
_LONGEST_ITEM = 4  # words of an item of a list in a text
_LONGEST_ACRONYM = 5  # letters of an acronym such as `UNHCR`
_FEWEST_ITEMS = 4  # items that make a list
_MAX_CHARACTERS = 20_000  # of an excerpt that is searched; the longest real one has 993
_MAX_TOPICS = 1_000  # that are found in an article, and that may share a keyword; an article may state as many


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
    matches with an s at its end (`robot`, `robots`). Keywords are kept in a tree of their words, so that the time for a
    text does not depend on their number.

    A topic must not be found where a text only mentions it in passing. So an item of a list of four or more items does
    not count. Two more rules apply to a keyword that the excerpt contains once and the title does not contain. A
    keyword of one word counts only in the first sentence. A keyword that is a part of the topic's name (`Harwich` of
    `Harwich Sailing`) counts only if the text also contains the rest of the name.
    """

    def __init__(self, keywords: Mapping[str, Iterable[str]]) -> None:
        """`keywords`: slug of a topic → its keywords, each of one or more words."""
        self._root = _Node()
        for slug, phrases in sorted(keywords.items()):
            name = frozenset(_words(slug))
            for phrase in phrases:
                words = _words(clean(phrase))
                if sum(map(len, words)) >= _SHORTEST:
                    beside = name.difference(words) if name.issuperset(words) else frozenset()
                    self._root.add(words, _Keyword(slug, len(words) == 1, beside))

    def find(self, title: str | None, excerpt: str | None) -> list[str]:
        """Return the slugs of the topics in title and excerpt, in alphabetic order, at most 1,000."""
        if not self._root.following:
            return []
        titled, text = (title or "").casefold(), (excerpt or "")[:_MAX_CHARACTERS].casefold()
        found = {keyword.slug for node in self._mentions(titled) for keyword in node.keywords}
        once: dict[str, tuple[_Keyword, int]] = {}
        for node, starts in self._mentions(text).items():
            for keyword in node.keywords:
                if len(starts) > 1 or keyword.slug in once:
                    found.add(keyword.slug)
                once.setdefault(keyword.slug, (keyword, starts[0]))
        if not found.issuperset(once):
            end = _SENTENCE_END.search(text)
            first_sentence = end.start() if end else len(text)
            words = frozenset(_WORD.findall(titled)).union(_WORD.findall(text))
            found.update(
                slug for slug, (keyword, start) in once.items() if keyword.counts(start < first_sentence, words)
            )
        return sorted(found)[:_MAX_TOPICS]

    def _mentions(self, text: str) -> dict[_Node, list[int]]:
        """Return the keywords in a text, each with the indices of its mentions that are not in a list."""
        words = _WORD.findall(text)
        matches: list[tuple[int, _Node]] = []
        for place, word in enumerate(words):
            node = self._root.following.get(word)
            after = place + 1
            while node is not None:
                if node.keywords:
                    matches.append((place, node))
                node = node.following.get(words[after]) if after < len(words) else None
                after += 1
        mentions: dict[_Node, list[int]] = {}
        if matches:
            starts = [match.start() for match in _WORD.finditer(text)]
            lists = _lists(text)
            ends = [end for _, end in lists]
            for place, node in matches:
                start = starts[place]
                number = bisect_right(ends, start)  # the first list that ends after the mention
                if number == len(lists) or start < lists[number][0]:
                    mentions.setdefault(node, []).append(start)
        return mentions


class _Keyword(NamedTuple):
    """A keyword of the topic `slug`. `beside`: the other words of the topic's name, if it contains the keyword."""

    slug: str
    is_word: bool
    beside: frozenset[str]

    def counts(self, is_in_first_sentence: bool, words: frozenset[str]) -> bool:
        """Return whether it counts where the excerpt contains it once. `words` are those of title and excerpt."""
        if self.beside:
            return self.beside <= words
        return is_in_first_sentence or not self.is_word


class _Node:
    """The end of the keywords that begin with the same words, in the tree of all keywords."""

    __slots__ = ("following", "keywords")

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        """The nodes of the keywords that are one word longer, by this word."""
        self.keywords: list[_Keyword] = []
        """The keywords that consist of these words."""

    def add(self, words: Sequence[str], keyword: _Keyword) -> None:
        """Add a keyword of these words, and with an s at its end."""
        node = self
        for word in words[:-1]:
            node = node.following.setdefault(word, _Node())
        for last in (words[-1], words[-1] + "s"):
            end = node.following.setdefault(last, _Node())
            if len(end.keywords) < _MAX_TOPICS:
                end.keywords.append(keyword)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


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
