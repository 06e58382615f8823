"""Entries of `related` that were read before, recognised by their text. A story's stand in each of its documents, and in
every version of those.

Of real entries nine in ten are, letter for letter, among the last 512 different ones. A comment takes their place, so that the
parser sees only the rest of the document, on the lines where it stands; what they were read as is put back into the tree.
That holds where the parser itself found the list, each entry of it and what comes after it to begin on the lines on which
they seem to, in a block without anchors: then no entry reaches into another, and each means what it means alone.
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

_LONGEST = 2_000  # characters of an entry that is kept; real ones have some 900
# At most 1,024 of 7 kB (real ones, with what editing makes of each): 7 MB. More would find 2 % more of real ones.
_MOST = 512

_NAME = "\nrelated:\n"
_BEGINS_WITH_FIELD = re.compile(r"\w+:[ \n]")
_ENTRY = re.compile(r"( *)- ")
_NEXT_FIELD = re.compile(r"\n[^ \n]")
_NEXT_FIELD_FLUSH = re.compile(r"\n(?!- | |\n|\Z)")  # where entries stand no deeper than fields
_OTHER_BREAKS = ("\r", "\x85", "\u2028", "\u2029")


@dataclass(frozen=True, slots=True)
class CacheHit:
    """What an entry was read as, and how many nodes its text has."""

    entry: RelatedArticle
    nodes: int


_Text = tuple[str, str]
"""The blanks before an entry's hyphen, and what follows that."""


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """An entry that is not known: its index, its text and the nodes of that."""

    index: int
    text: _Text
    nodes: int


@dataclass(frozen=True, slots=True)
class _Listing:
    """Where the text seems to have the list: its entries with their lines, counted from 0, and what stands around them."""

    line: int
    indent: str
    entries: list[str]
    lines: list[int]
    before: str
    after: str
    line_after: int | None

    def without(self, known: Many[CacheHit | None]) -> str:
        """The text with a comment on each line of what is known."""
        parts = [
            f"{self.indent}- {entry}\n" if met is None else "#\n" * (entry.count("\n") + 1)
            for entry, met in zip(self.entries, known, strict=True)
        ]
        return "".join((self.before, *parts, self.after))

    def is_in(self, parsed: Parsed, known: Many[CacheHit | None]) -> bool:
        """Whether the parser found what is not known where it seems to be, and everything around it."""
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
    """Parse as `parse` does; entries that are known stand in the tree as what they were read as. And those that are not."""
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
    """Complete the list of `tree`; gives what was in it."""
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
    """Keep what was not known of a document that was read without a word to say of it."""
    memory = _memory(limits)
    for one in misses:
        memory.keep(one.text, CacheHit(related[one.index], one.nodes))


@lru_cache(maxsize=2)
def _memory(limits: Limits) -> LruCache[_Text, CacheHit]:
    """What was read under `limits`; others may not let it through."""
    return LruCache(_MOST)


def _listing(text: str) -> _Listing | None:
    """Find the list as nearly all documents write it; another style is read as it stands, and not remembered."""
    start = text.find(_NAME) + len(_NAME)
    first = _ENTRY.match(text, start)
    if start < len(_NAME) or first is None or not _BEGINS_WITH_FIELD.match(text):
        return None
    if any(other in text for other in _OTHER_BREAKS):
        return None
    indent = first[1]
    after = (_NEXT_FIELD if indent else _NEXT_FIELD_FLUSH).search(text, start)
    end = after.start() if after else len(text.removesuffix("\n"))
    entries = text[first.end() : end].split(f"\n{indent}- ")
    last = entries[-1]
    if "|" not in last and ">" not in last:  # else blank lines may be part of what it says
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
    """Count the scalars, lists and mappings of `value`, the names of fields among them."""
    if isinstance(value, MappingNode):
        return 1 + len(value) + sum(map(_nodes, value.values()))
    return 1 + sum(map(_nodes, value)) if isinstance(value, SequenceNode) else 1


__all__ = ["CacheHit", "CacheMiss", "parse_known", "remember"]
