"""A cache of parsed and validated entries of `related`, keyed by their text.

The documents of a story repeat the same entries, in all their versions. Nine in ten real entries are equal, character
by character, to one of the last 512 different ones.

`parse_known` replaces each known entry by a comment and blank lines, so that the parser skips it and all other lines keep
their numbers. Then it puts the cached entries back into the tree. The result is used only if the block has no anchors and the
parser confirms the lines found by text search: where the list begins, where each entry begins, and where the next field
begins. Then no entry extends into another, and each has the meaning that it has alone. Otherwise the block is parsed as
usual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import lru_cache

from schemas.article import RelatedArticle
from worker.documents.caches import LruCache
from worker.documents.limits import Limits
from worker.documents.positions import Place
from worker.documents.yaml.builder import Parsed, parse
from worker.documents.yaml.nodes import MappingNode, SequenceNode

_LONGEST = 2_000  # characters of an entry that is cached; real ones have about 900
# An `LruCache` holds at most 1,024 entries of 7 kB (a real entry with what `enrich` makes of it): 7 MB. A larger cache
# would hit 2 % more of the real entries.
_MOST = 512

_NAME = "\nrelated:\n"
_BEGINS_WITH_FIELD = re.compile(r"\w+:[ \n]")
_ENTRY = re.compile(r"( *)- ")
_NEXT_FIELD = re.compile(r"\n[^ \n]")
_NEXT_FIELD_FLUSH = re.compile(r"\n(?!- | |\n|\Z)")  # for a list that is not indented


@dataclass(frozen=True, slots=True)
class CacheHit:
    """A cached entry, and the number of YAML nodes of its text."""

    entry: RelatedArticle
    nodes: int


_Text = tuple[str, str]
"""The spaces before an entry's hyphen, and the text after it."""


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """An entry that is not in the cache: its index in `related`, its text and the number of its nodes."""

    index: int
    text: _Text
    nodes: int


@dataclass(frozen=True, slots=True)
class _Listing:
    """The list `related` as found by text search: entries, their lines (from 0), and the text before and after."""

    line: int
    indent: str
    entries: list[str]
    lines: list[int]
    before: str
    after: str
    line_after: int | None

    def without(self, known: Many[CacheHit | None]) -> str:
        """Return the text with a comment and blank lines instead of each known entry.

        The comment ends a block scalar before it, to which blank lines would belong. Blank lines are read faster than
        comments: 35 entries with all of their document in 70 instead of 102 µs.
        """
        parts = [
            f"{self.indent}- {entry}\n" if met is None else "#" + "\n" * (entry.count("\n") + 1)
            for entry, met in zip(self.entries, known, strict=True)
        ]
        return "".join((self.before, *parts, self.after))

    def is_in(self, parsed: Parsed, known: Many[CacheHit | None]) -> bool:
        """Return whether the parser found the list, the unknown entries and the next field on the expected lines."""
        tree = parsed.tree
        if tree is None or parsed.problems or parsed.has_anchors:
            return False
        place = tree.marks.get("related")
        if place is None or (place.line, place.column) != (self.line, 0):
            return False
        if self.line_after is not None and all(mark.line != self.line_after for mark in tree.marks.values()):
            return False
        found, column = tree["related"], len(self.indent) + 2
        marks = found.marks if isinstance(found, SequenceNode) else [] if found is None else [place]
        misses = [(line, column) for line, met in zip(self.lines, known, strict=True) if met is None]
        return [(mark.line, mark.column) for mark in marks] == misses


def parse_known(text: str, first_line: int, limits: Limits) -> tuple[Parsed, list[CacheMiss]]:
    """Parse like `parse`, with cached entries of `related` in the tree as `RelatedArticle`.

    Returns the parsed block and the entries to pass to `remember`.
    """
    listing = _listing(text)
    if listing is None:
        return parse(text, first_line, limits), []
    memory = _memory(limits)
    known = [memory.find((listing.indent, entry)) for entry in listing.entries]
    met = [one for one in known if one is not None]
    parsed = parse(listing.without(known) if met else text, first_line, limits)
    nodes = parsed.nodes + sum(one.nodes for one in met)
    if parsed.tree is not None and nodes <= limits.max_nodes and listing.is_in(parsed, known):
        return parsed, _put_back(parsed.tree, listing, known)
    return parse(text, first_line, limits) if met else parsed, []


def _put_back(tree: MappingNode, listing: _Listing, known: Many[CacheHit | None]) -> list[CacheMiss]:
    """Put the cached entries back into `tree["related"]`. Return the parsed entries that are short enough to cache."""
    misses: list[CacheMiss] = []
    read = iter(tree["related"] or ())
    whole = SequenceNode()
    column = len(listing.indent) + 2
    for index, (text, met) in enumerate(zip(listing.entries, known, strict=True)):
        entry = next(read) if met is None else met.entry
        if met is None and len(text) <= _LONGEST:
            misses.append(CacheMiss(index, (listing.indent, text), _nodes(entry)))
        whole.append(entry)
        whole.marks.append(Place(0, listing.lines[index], column))
    tree["related"] = whole
    return misses


def remember(related: list[RelatedArticle], misses: list[CacheMiss], limits: Limits) -> None:
    """Add the entries `misses` to the cache. Call this only for a document that was validated without any problem."""
    memory = _memory(limits)
    for one in misses:
        memory.keep(one.text, CacheHit(related[one.index], one.nodes))


@lru_cache(maxsize=2)
def _memory(limits: Limits) -> LruCache[_Text, CacheHit]:
    """Return the cache for `limits`. Other limits might reject what these accepted."""
    return LruCache(_MOST)


def _listing(text: str) -> _Listing | None:
    """Find the list by text search, in the style that nearly all documents use. Return None for any other style."""
    start = text.find(_NAME) + len(_NAME)
    first = _ENTRY.match(text, start)
    if start < len(_NAME) or first is None or not _BEGINS_WITH_FIELD.match(text):
        return None
    if "\r" in text:
        return None
    indent = first[1]
    after = (_NEXT_FIELD if indent else _NEXT_FIELD_FLUSH).search(text, start)
    end = after.start() if after else len(text.removesuffix("\n"))
    entries = text[first.end() : end].split(f"\n{indent}- ")
    last = entries[-1]
    if "|" not in last and ">" not in last:  # in a block scalar, blank lines at the end may belong to the value
        entries[-1] = last.rstrip("\n")
    blank = len(last) - len(entries[-1])
    line = text.count("\n", 0, start)
    lines = []
    for entry in entries:
        lines.append(line)
        line += entry.count("\n") + 1
    rest = text[end - blank + 1 :]
    return _Listing(lines[0] - 1, indent, entries, lines, text[:start], rest, line + blank if after else None)


def _nodes(value: object) -> int:
    """Return the number of scalars, lists and mappings in `value`. Field names count as scalars."""
    if isinstance(value, MappingNode):
        return 1 + len(value) + sum(map(_nodes, value.values()))
    return 1 + sum(map(_nodes, value)) if isinstance(value, SequenceNode) else 1


__all__ = ["CacheHit", "CacheMiss", "parse_known", "remember"]
