"""The limits of the YAML parser: what it counts, refuses and cleans while it reads events."""

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
    """Raised to stop the parser with a problem. `parse` catches it."""

    def __init__(self, found: Problem) -> None:
        self.found = found


class Sign:
    """A sentinel that takes the place of a field's name."""


NO_KEY = Sign()  # in a mapping, and the next scalar is a field name
LISTED = Sign()  # in a list or outside of all nodes, where values have no name
MERGE_KEY = Sign()  # the name was `<<`
LOST_KEY = Sign()  # the name was refused with a problem; its value is parsed and dropped


class ParserLimits:
    """The parser's state for one block: open nodes, anchors, counts and problems."""

    def __init__(self, text: str, first_line: int, limits: Limits) -> None:
        self.limits = limits
        self.places = Places(text, first_line)
        self.problems: list[Problem] = []
        self.has_blanks = False
        self.nodes = 0  # set when the whole block is parsed
        self.secured_mark: Mark | None = None
        # Without escapes and without characters beyond ASCII, no value needs cleaning.
        self.suspect = "\\" in text or not text.isascii()
        self.stack: list[tuple[MappingNode | SequenceNode, Any, Mark, str | None]] = []
        """The open nodes: (node, its key in the parent, its mark in the parent, its anchor)."""
        self.merges: dict[int, list[MappingNode]] = {}
        """The mappings that `<<` names, by the depth of the open mapping that contains it."""
        self.anchors: dict[str, Any] = {}
        self.weights: dict[str, int] = {}  # `weigh` of each anchor that an alias has used
        self._borrowed = 0
        self._merged = 0

    def make(self, code: str, mark: Mark, message: str | None = None, **more: str | None) -> Problem:
        line, column = self.places.of_mark(mark)
        return problem(code, message, line=line, column=column, **more)

    def note(self, code: str, mark: Mark, message: str | None = None, **more: str | None) -> None:
        if len(self.problems) <= self.limits.max_problems:
            self.problems.append(self.make(code, mark, message, **more))

    def path(self, key: object) -> str | None:
        """Return the parser's current path as text: the keys of the open nodes, then `key` or the next index."""
        steps: list[str | int] = []
        for (parent, *_), (_, held_by, *_) in pairwise(self.stack):
            steps.append(held_by if isinstance(held_by, str) else len(parent))
        if self.stack:
            steps.append(key if isinstance(key, str) else len(self.stack[-1][0]))
        return path_text(steps) or None

    def check_tag(self, tag: str, mark: Mark) -> None:
        """Add a problem if the tag is not one of YAML's core schema. Tags are never evaluated."""
        if tag not in _CORE_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self.note("yaml_tag", mark, "Tags are not evaluated here.", value=shown)

    def field_name(self, name: str, plain: bool, mark: Mark) -> str | Sign:
        """Return the cleaned field name, MERGE_KEY for `<<`, or LOST_KEY (with a problem) if the name is not valid."""
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
        """Return the text without characters that a store cannot hold, in NFC. Add a warning if any were removed."""
        remaining, removed, _ = clean_text(text)
        if removed:
            if text[:8].lower().startswith(("http://", "https://")):
                remaining = clean_text(UNHOLDABLE.sub("\ufffd", text))[
                    0
                ]  # a URL without the character would be another URL; with U+FFFD in it, it is refused
            message = f"{removed} character{'s' if removed > 1 else ''} that no text can hold: removed."
            self.note("text_cleaned", mark, message, field=self.path(key), value=text)
        return remaining

    def value(self, text: str, mark: Mark, key: object) -> str | None:
        """Return the cleaned value, or None (with a problem) if it is too long."""
        if len(text) > self.limits.max_scalar:
            expected = f"at most {self.limits.max_scalar:,} characters"
            self.note("value_too_long", mark, field=self.path(key), expected=expected, value=text)
            return None
        return self.clean(text, mark, key) if self.suspect else text

    def resolve(self, name: str, mark: Mark) -> object:
        """Return the value of an alias and count its nodes. Raises Stop if it is unknown or aliases are too many."""
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
        """Keep the mappings that `<<` names. `merge` copies their keys when the mapping's own keys are known.

        Raises Stop if merges exceed the limit.
        """
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
    """Copy to `node` the fields of `sources` that it does not have. The first source with a field wins."""
    if isinstance(node, MappingNode):
        for source in sources:
            for key, value in source.items():
                if key not in node:
                    node[key] = value
                    node.marks[key] = source.marks[key]


def excerpt_name(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"


def weigh(value: object) -> int:
    """Return the number of nodes in a value, plus one for each KiB of a text: repeated long texts use memory too."""
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
