"""The state of the YAML parser for one block: what is open, what is counted, refused and cleaned while it reads events."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Protocol, TypeAlias

from yaml.events import DocumentStartEvent, MappingStartEvent, StreamEndEvent

from schemas.known_names import KNOWN_NAMES
from schemas.problem import Problem, problem
from schemas.text.invisible_characters import is_invisible, name_of_character
from worker.documents.characters import UNHOLDABLE, clean_text
from worker.documents.limits import Limits
from worker.documents.positions import Mark, Places
from worker.documents.yaml.line_breaks import show_other_breaks
from worker.documents.yaml.nodes import OPEN, Anchor, MappingNode, Node, SequenceNode, merge, path_text

NULL_WORDS = frozenset({"", "~", "null", "Null", "NULL"})
PLAIN_TEXT = re.compile("[ -~]*+")  # printable ASCII, which needs no cleaning
_FORCES_TEXT = frozenset({"!", "tag:yaml.org,2002:str"})
_CORE = ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
_TYPED_TAGS = frozenset({None, *(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool"))})
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

Key: TypeAlias = "str | Sign"


class Event(Protocol):
    """An event of libyaml. Each has a mark, although PyYAML's types do not say so."""

    start_mark: Mark


class NodeStart(Event, Protocol):
    """The event of a scalar, or of the beginning of a mapping or list."""

    tag: str | None
    anchor: str | None


class Scalar(NodeStart, Protocol):
    """The event of a scalar. `style` is empty for a value without quotes."""

    value: str
    style: str | None


class ParserState:
    """The parser's state for one block: open nodes, anchors, counts and problems."""

    def __init__(self, text: str, first_line: int, limits: Limits) -> None:
        self.limits = limits
        self.places = Places(text, first_line)
        self.problems: list[Problem] = []
        self.has_blanks = False
        self.has_invisible = False
        self.nodes = 0  # set when the whole block is parsed
        self.secured_mark: Mark | None = None
        # Without escapes and without characters beyond ASCII, no value needs cleaning.
        self.needs_check = "\\" in text or not text.isascii()
        self.unknown_names: set[str] = set()
        """Names of fields that no model has."""
        self.stack: list[tuple[Node, Key, Mark, str | None]] = []
        """The open nodes: (node, its key in the parent, its mark in the parent, its anchor)."""
        self.merges: dict[int, list[MappingNode]] = {}
        """The mappings that `<<` names, by the depth of the open mapping that contains it."""
        self.anchors: dict[str, Anchor] = {}
        self.plain: set[int] = set()
        """See `Parsed.plain`."""
        self._documents = 0
        self._borrowed = 0
        self._merged = 0

    def make(self, code: str, mark: Mark, message: str | None = None, **more: str | None) -> Problem:
        line, column = self.places.of_mark(mark)
        return problem(code, message, line=line, column=column, **more)

    def note(self, code: str, mark: Mark, message: str | None = None, **more: str | None) -> None:
        if len(self.problems) <= self.limits.max_problems:
            self.problems.append(self.make(code, mark, message, **more))

    def note_at(self, code: str, index: int, message: str, *, field: str | None = None) -> None:
        """Add a problem at an index of the text."""
        line, column = self.places.of_index(index)
        if len(self.problems) <= self.limits.max_problems:
            self.problems.append(problem(code, message, field=field, line=line, column=column))

    def path(self, key: object) -> str | None:
        """Return the parser's current path as text: the keys of the open nodes, then `key` or the next index."""
        steps: list[str | int] = []
        for (parent, *_), (_, held_by, *_) in pairwise(self.stack):
            steps.append(held_by if isinstance(held_by, str) else len(parent))
        if self.stack:
            steps.append(key if isinstance(key, str) else len(self.stack[-1][0]))
        return path_text(steps) or None

    def name_of(self, event: Scalar, node: MappingNode) -> Key:
        """Return the field name that `event` states, or a sentinel (see `field_name`)."""
        name, mark = event.value, event.start_mark
        if event.tag is not None:
            self._check_tag(event.tag, mark)
        if event.anchor is not None:
            self._define_anchor(event.anchor, name, mark, is_plain=_is_plain(event))
        if name not in node and len(name) <= self.limits.max_key_length and name.isidentifier() and name.isascii():
            if name not in KNOWN_NAMES:
                self.unknown_names.add(name)
            return str(name)
        return self.field_name(name, not event.style and event.tag not in _FORCES_TEXT, mark)

    def value_of(self, event: Scalar, key: Key, key_mark: Mark) -> tuple[str | None, Mark]:
        """Return the value and its mark of a scalar that is empty, has a tag or an anchor, or may need cleaning.

        A null is returned as None, with the mark of its field's name if it has one.
        """
        value: str | None = event.value
        mark, tag = event.start_mark, event.tag
        if tag is not None:
            self._check_tag(tag, mark)
        if not event.style and value in NULL_WORDS and tag not in _FORCES_TEXT:
            value = None
        elif value and self.needs_check and not PLAIN_TEXT.fullmatch(value):
            value = self._clean(value, mark, key)
        if not value:
            self.has_blanks = True
        if tag is not None or event.anchor is not None:
            is_plain = _is_plain(event)
            if is_plain:
                self.plain.add(mark.index)
            if event.anchor is not None:
                self._define_anchor(event.anchor, value, mark, is_plain=is_plain)
        return value, mark if value is not None or key is LISTED else key_mark

    def open(self, event: NodeStart, node: Node, key: Key, key_mark: Mark | None) -> tuple[Node, Key]:
        """Open the mapping or list that `event` begins, the value of `key` in `node`. Return it and its first key.

        Raises Stop if it stands in the place of a field's name, or is nested too deeply.
        """
        mark = event.start_mark
        if event.tag is not None:
            self._check_tag(event.tag, mark)
        if key is NO_KEY:
            raise Stop(self.make("yaml_key", mark, "A field's name cannot be a list or a mapping."))
        if len(self.stack) >= self.limits.max_depth:
            raise Stop(self.make("too_deep", mark, expected=f"at most {self.limits.max_depth} levels"))
        if event.anchor is not None:
            self._define_anchor(event.anchor, OPEN, mark, is_plain=False)
        held_mark = mark if key is LISTED or key_mark is None else key_mark
        opened: Node = MappingNode() if isinstance(event, MappingStartEvent) else SequenceNode()
        self.stack.append((opened, key, held_mark, event.anchor))
        return opened, LISTED if type(opened) is SequenceNode else NO_KEY

    def close(self, root: SequenceNode) -> tuple[Node, Key, Mark, Node]:
        """Close the innermost node. Return it, its key and its mark in its parent, and the parent (else `root`)."""
        depth = len(self.stack)
        node, key, mark, anchor = self.stack.pop()
        if depth == 1 and isinstance(node, MappingNode):
            self.secured_mark = node.marks.get("secured")
        if self.merges:
            merge(node, self.merges.pop(depth, ()))
        if anchor is not None:
            found = self.anchors[anchor]  # of this node, or of one inside it that took the name
            found.value, found.is_plain, found.weight = node, False, None
        return node, key, mark, self.stack[-1][0] if self.stack else root

    def is_end(self, event: Event) -> bool:
        """Return whether `event` ends the block. Raises Stop if it begins a second YAML document."""
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Stop(self.make("several_documents", event.start_mark))
        return isinstance(event, StreamEndEvent)

    def without_parent(self, key: Key, key_mark: Mark, value: object, mark: Mark) -> tuple[Key, Mark]:
        """Handle a value that is not attached to a node. Return the next key and its mark.

        The value is an alias in the place of a field's name, the value of `<<`, or the value of a refused name.
        """
        if key is NO_KEY:
            if not isinstance(value, str):
                raise Stop(self.make("yaml_key", mark, "A field's name cannot be a list or a mapping."))
            return self.field_name(value, False, mark), mark
        if key is MERGE_KEY:
            self._note_merge(value, key_mark)
        return NO_KEY, key_mark

    def _check_tag(self, tag: str, mark: Mark) -> None:
        """Add a problem if the tag is not one of YAML's core schema. Tags are never evaluated."""
        if tag not in _CORE_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self.note("yaml_tag", mark, "Tags are not evaluated here.", value=shown)

    def _define_anchor(self, name: str, value: object, mark: Mark, *, is_plain: bool) -> None:
        self._note_unused_anchor(name)
        self.anchors[name] = Anchor(mark, value, is_plain)

    def note_unused_anchors(self) -> None:
        """Warn about each anchor that no alias uses: its author probably meant the `&` as text."""
        for name in self.anchors:
            self._note_unused_anchor(name)

    def _note_unused_anchor(self, name: str) -> None:
        found = self.anchors.get(name)
        if found is None or found.is_used:
            return
        message = (
            f"&{excerpt_name(name)} is read as the name of an anchor, and no alias uses it: it is no part of the value."
        )
        self.note("unused_anchor", found.mark, message, expected="quotes, if & belongs to the text")

    def field_name(self, name: str, plain: bool, mark: Mark) -> Key:
        """Return the cleaned field name, MERGE_KEY for `<<`, or LOST_KEY (with a problem) if the name is not valid."""
        node = self.stack[-1][0]
        if plain and name == "<<":
            if len(self.stack) in self.merges:
                self.note("duplicate_key", mark, "<< is given twice.", field=self.path("<<"))
            return MERGE_KEY
        if len(name) > self.limits.max_key_length:
            self.note("key_too_long", mark, expected=f"at most {self.limits.max_key_length} characters", value=name)
            return LOST_KEY
        if self.needs_check:
            name = self._clean(name, mark, name)
        if not name:
            self.note("yaml_key", mark, "A field has no name.")
            return LOST_KEY
        if name in node:
            first = self.places.of_mark(node.marks[name])[0] if isinstance(node, MappingNode) else 0
            self.note("duplicate_key", mark, f"{excerpt_name(name)} was given on line {first}.", field=self.path(name))
            return LOST_KEY
        if not name.isascii():
            self._note_invisible(name, mark)
        self.unknown_names.add(name)
        return name

    def _note_invisible(self, name: str, mark: Mark) -> None:
        """Warn about an invisible character in a field's name. Some editors write such characters for spaces."""
        first = next((character for character in name if is_invisible(character)), None)
        if first is None:
            return
        stands = "begins with" if name[0] == first else "contains"
        effect = ", which YAML does not read as indentation" if stands == "begins with" and first.isspace() else ""
        message = f"The field's name {stands} {name_of_character(first)}{effect}."
        self.note("invisible_character", mark, message, field=self.path(name), expected="plain spaces, or nothing")

    def _clean(self, text: str, mark: Mark, key: object) -> str:
        """Return the text without characters that a store cannot hold, in NFC. Add a warning if any were removed."""
        text = show_other_breaks(text)
        remaining, removed, _ = clean_text(text)
        if removed:
            if text[:8].lower().startswith(("http://", "https://")):
                # A URL without the character would be another URL. With U+FFFD in it, it is refused.
                remaining = clean_text(UNHOLDABLE.sub("\ufffd", text))[0]
            message = f"{removed} character{'s' if removed > 1 else ''} removed: control characters, or too many accents on a letter."
            self.note("text_cleaned", mark, message, field=self.path(key), value=text)
        if not remaining.isprintable():
            self.has_invisible = True
        return remaining

    def note_long_value(self, mark: Mark, field: str, value: str) -> None:
        """Warn that a value is longer than `Limits.max_scalar`."""
        self.note(
            "value_too_long", mark, field=field, expected=f"at most {self.limits.max_scalar:,} characters", value=value
        )

    def resolve(self, name: str, mark: Mark) -> tuple[object, int]:
        """Return the value of an alias and the number of its nodes.

        Raises Stop if it is unknown, stands inside the value that it names, or if aliases are too many.
        """
        found = self.anchors.get(name)
        if found is None or found.value is OPEN:
            if any(anchor == name for *_, anchor in self.stack):
                message = f"*{name} stands inside the value that &{name} names, which would contain itself."
                raise Stop(self.make("yaml_unknown_alias", mark, message))
            raise Stop(self.make("yaml_unknown_alias", mark, f"*{name} refers to nothing before it."))
        found.is_used = True
        if found.is_plain:
            self.plain.add(mark.index)
        self._borrowed += found.weigh()
        if self._borrowed > self.limits.max_aliases:
            raise Stop(self.make("too_many_aliases", mark, expected=f"{self.limits.max_aliases:,} values"))
        return found.value, found.weigh()

    def _note_merge(self, value: object, mark: Mark) -> None:
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


def _is_plain(event: Scalar) -> bool:
    """Return whether a value is written without quotes, and no tag makes it a text."""
    return not event.style and event.tag in _TYPED_TAGS


def excerpt_name(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"


__all__ = ["LISTED", "NO_KEY", "NULL_WORDS", "PLAIN_TEXT", "ParserState", "Stop"]
