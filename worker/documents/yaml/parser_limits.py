"""What the YAML parser refuses, counts and cleans as the events come."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from schemas.problem import Problem, problem
from worker.documents.characters import UNHOLDABLE, clean_text
from worker.documents.limits import Limits
from worker.documents.positions import Mark, Places
from worker.documents.yaml.nodes import MappingNode, SequenceNode, path_text

_CORE = ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
_CORE_TAGS = frozenset({"!", *(f"tag:yaml.org,2002:{name}" for name in _CORE)})


class Stop(Exception):
    """Raised to leave the parser's loop with the problem that ends it; `parse` catches it."""

    def __init__(self, found: Problem) -> None:
        self.found = found


class Sign:
    """A mark in place of a field's name."""


NO_KEY = Sign()  # none is waiting for its value: the next thing is one
LISTED = Sign()  # values here have none
MERGE_KEY = Sign()  # `<<`
LOST_KEY = Sign()  # its value is read and forgotten, its problem noted


class ParserLimits:
    """The counts and complaints of one block."""

    def __init__(self, text: str, first_line: int, limits: Limits) -> None:
        self.limits = limits
        self.places = Places(text, first_line)
        self.problems: list[Problem] = []
        self.has_blanks = False
        self.nodes = 0  # of the whole block, once it is read
        self.secured_mark: Mark | None = None
        # Only escapes and characters beyond ASCII can make a text that needs cleaning.
        self.suspect = "\\" in text or not text.isascii()
        self.stack: list[tuple[MappingNode | SequenceNode, Any, Mark, str | None]] = []
        """The nodes that are open: each, what its parent will hold it by (key, mark), and its anchor."""
        self.merges: dict[int, list[MappingNode]] = {}
        """By depth, what `<<` of the mapping open there names."""
        self.anchors: dict[str, Any] = {}
        self.weights: dict[str, int] = {}  # of the anchors that an alias has named
        self._borrowed = 0
        self._merged = 0

    def make(self, code: str, mark: Mark, message: str | None = None, **more: str | None) -> Problem:
        line, column = self.places.of_mark(mark)
        return problem(code, message, line=line, column=column, **more)

    def note(self, code: str, mark: Mark, message: str | None = None, **more: str | None) -> None:
        if len(self.problems) <= self.limits.max_problems:
            self.problems.append(self.make(code, mark, message, **more))

    def path(self, key: object) -> str | None:
        """Write where the parser is: the steps of the open nodes, then `key` or the next index."""
        steps: list[str | int] = []
        for (parent, *_), (_, held_by, *_) in pairwise(self.stack):
            steps.append(held_by if isinstance(held_by, str) else len(parent))
        if self.stack:
            steps.append(key if isinstance(key, str) else len(self.stack[-1][0]))
        return path_text(steps) or None

    def check_tag(self, tag: str, mark: Mark) -> None:
        """Refuse tags that ask for more than a text, a list or a mapping."""
        if tag not in _CORE_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self.note("yaml_tag", mark, "Tags are not evaluated here.", value=shown)

    def field_name(self, name: str, plain: bool, mark: Mark) -> str | Sign:
        """Take a field's name, or a sign where it cannot be one."""
        node = self.stack[-1][0]
        if plain and name == "<<":
            if len(self.stack) in self.merges:
                self.note("duplicate_key", mark, "<< is given twice.", field=self.path("<<"))
            return MERGE_KEY
        if len(name) > self.limits.max_key_length:
            self.note("key_too_long", mark, expected=f"at most {self.limits.max_key_length} characters", value=name)
            return LOST_KEY
        if self.suspect:
            name = self.clean(name, mark, name)
        if not name:
            self.note("yaml_key", mark, "A field has no name.")
            return LOST_KEY
        if name in node:
            first = self.places.of_mark(node.marks[name])[0] if isinstance(node, MappingNode) else 0
            self.note("duplicate_key", mark, f"{excerpt_name(name)} was given on line {first}.", field=self.path(name))
            return LOST_KEY
        return name

    def clean(self, text: str, mark: Mark, key: object) -> str:
        """Take away what a store cannot hold, and compose what is composable (NFC)."""
        remaining, removed, _ = clean_text(text)
        if removed:
            if text[:8].lower().startswith(("http://", "https://")):
                remaining = clean_text(UNHOLDABLE.sub("\ufffd", text))[
                    0
                ]  # another address is no cleaner one: it is refused
            message = f"{removed} character{'s' if removed > 1 else ''} that no text can hold: removed."
            self.note("text_cleaned", mark, message, field=self.path(key), value=text)
        return remaining

    def value(self, text: str, mark: Mark, key: object) -> str | None:
        """Clean a value, or lose one that is too long."""
        if len(text) > self.limits.max_scalar:
            expected = f"at most {self.limits.max_scalar:,} characters"
            self.note("value_too_long", mark, field=self.path(key), expected=expected, value=text)
            return None
        return self.clean(text, mark, key) if self.suspect else text

    def resolve(self, name: str, mark: Mark) -> object:
        """Find what an alias stands for, and count it in full."""
        if name not in self.anchors:
            raise Stop(self.make("yaml_unknown_alias", mark, f"*{name} refers to nothing before it."))
        found = self.anchors[name]
        if name not in self.weights:
            self.weights[name] = weigh(found)
        self._borrowed += self.weights[name]
        if self._borrowed > self.limits.max_aliases:
            raise Stop(self.make("too_many_aliases", mark, expected=f"{self.limits.max_aliases:,} values"))
        return found

    def note_merge(self, value: object, mark: Mark) -> None:
        """Remember what `<<` names; its keys are copied when the mapping is whole and its own keys are known."""
        sources = value if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, MappingNode):
                self.note("yaml_merge", mark)
                return
            self._merged += len(source)
            if self._merged > self.limits.max_merge_keys:
                raise Stop(self.make("too_many_merges", mark, expected=f"{self.limits.max_merge_keys:,} fields"))
            self.merges.setdefault(len(self.stack), []).append(source)


def merge(node: MappingNode | SequenceNode, sources: Iterable[MappingNode]) -> None:
    """Copy the fields that `<<` names and the mapping itself does not have; the first of several sources wins."""
    if isinstance(node, MappingNode):
        for source in sources:
            for key, value in source.items():
                if key not in node:
                    node[key] = value
                    node.marks[key] = source.marks[key]


def excerpt_name(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"


def weigh(value: object) -> int:
    """Count the nodes of a value, and its text by the kilobyte: a long text borrowed often is as bad as many."""
    total = 0
    waiting = [value]
    while waiting:
        found = waiting.pop()
        total += 1
        if isinstance(found, str):
            total += len(found) >> 10
        elif isinstance(found, MappingNode):
            waiting.extend(found.values())
        elif isinstance(found, SequenceNode):
            waiting.extend(found)
    return total
