"""Build the mapping of a YAML block from the events of libyaml.

No scalar is converted: a value is its text, or None if it is empty or null. Everything that can expand beyond the text
(nesting, aliases, merges) is counted during parsing, so the parser stops before it uses too much time or memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # missing in the stubs
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from schemas.problem import Problem, Severity, problem
from worker.documents.limits import DEFAULT, Limits
from worker.documents.positions import Mark, Places
from worker.documents.yaml.mistakes import diagnose
from worker.documents.yaml.nodes import MappingNode, SequenceNode
from worker.documents.yaml.parser_limits import LISTED, MERGE_KEY, NO_KEY, ParserLimits, Stop, merge
from worker.documents.yaml.surrogates import join_surrogates

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_FORCES_TEXT = frozenset({"!", "tag:yaml.org,2002:str"})
_REPAIR_CHARACTERS = 4_194_304  # characters parsed again to repair surrogates: four documents of the largest size


@dataclass(slots=True)
class Parsed:
    """The result of parsing a block: its mapping and its problems. `tree` is None if an error prevents using it."""

    tree: MappingNode | None
    problems: list[Problem]
    places: Places
    secured_place: tuple[int, int] | None = None
    """The line and column (from 1) at which the value of the top-level `secured` begins."""
    has_blanks: bool = True
    """Whether a value may be empty. False is certain, True is not."""
    nodes: int = 0
    """The number of scalars, lists and mappings, as `Limits.max_nodes` counts them."""
    has_anchors: bool = True
    """Whether the block has anchors, so that an alias may repeat a value."""


def parse(text: str, first_line: int, limits: Limits = DEFAULT) -> Parsed:
    """Parse a YAML block that begins on line `first_line` of its document. Errors of YAML become problems."""
    budget = _REPAIR_CHARACTERS
    while True:
        limits_state = ParserLimits(text, first_line, limits)
        try:
            tree = _root(*_build(text, limits_state), limits_state)
        except Stop as stop:
            return Parsed(None, [*limits_state.problems, stop.found], limits_state.places)
        except yaml.YAMLError as error:
            budget -= len(text)
            mended = join_surrogates(text, error) if budget > 0 else None
            if mended is None:
                return Parsed(
                    None, [*limits_state.problems, diagnose(error, text, limits_state.places)], limits_state.places
                )
            text = mended
        else:
            secured = limits_state.places.of_mark(limits_state.secured_mark) if limits_state.secured_mark else None
            return Parsed(
                tree,
                limits_state.problems,
                limits_state.places,
                secured,
                limits_state.has_blanks,
                limits_state.nodes,
                bool(limits_state.anchors),
            )


def _build(text: str, limits_state: ParserLimits) -> tuple[Any, Mark | None]:
    """Return the outermost value and its mark. Raises Stop at a limit, and YAMLError if the text is not YAML.

    This is one loop with few calls, because it runs for every value of every document.
    """
    get_event = CParser(text).get_event
    stack, anchors, merges = limits_state.stack, limits_state.anchors, limits_state.merges
    max_depth, max_nodes, max_scalar = (
        limits_state.limits.max_depth,
        limits_state.limits.max_nodes,
        limits_state.limits.max_scalar,
    )
    max_key = limits_state.limits.max_key_length
    strict = limits_state.suspect or len(text) > max_scalar  # if False, every value is clean and short enough
    names: set[str] = set()  # names already checked; the entries of a list repeat them
    node: Any = None  # the innermost open mapping or list
    marks: Any = None  # the marks of `node`
    key: Any = LISTED
    key_mark: Any = None
    nodes = documents = 0
    root: Any = None
    root_mark: Mark | None = None
    while True:
        event: Any = get_event()
        kind = type(event)
        if kind is ScalarEvent:
            nodes += 1
            value: Any = event.value
            mark = event.start_mark
            if event.tag is not None:
                limits_state.check_tag(event.tag, mark)
            if key is NO_KEY:
                key_mark = mark
                if value in names and value not in node:
                    key = value
                elif value not in node and len(value) <= max_key and value.isidentifier() and value.isascii():
                    names.add(value)  # nearly all names take this path
                    key = value
                else:
                    plain = not event.style and event.tag not in _FORCES_TEXT
                    key = limits_state.field_name(value, plain, mark)
                if event.anchor is not None:
                    anchors[event.anchor] = value
                    limits_state.weights.pop(event.anchor, None)
                continue
            if not event.style and value in _NOTHING and event.tag not in _FORCES_TEXT:
                value = None
                mark = mark if key is LISTED else key_mark
            elif strict and not (value.isascii() and value.isprintable() and len(value) <= max_scalar):
                value = limits_state.value(value, mark, key)
            if event.anchor is not None:
                anchors[event.anchor] = value
                limits_state.weights.pop(event.anchor, None)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            nodes += 1
            mark = event.start_mark
            if event.tag is not None:
                limits_state.check_tag(event.tag, mark)
            if key is NO_KEY:
                raise Stop(limits_state.make("yaml_key", mark, "A field's name cannot be a list or a mapping."))
            if len(stack) >= max_depth:
                raise Stop(limits_state.make("too_deep", mark, expected=f"at most {max_depth} levels"))
            if event.anchor is not None:  # an alias inside the node must not find an older anchor of that name
                anchors.pop(event.anchor, None)
                limits_state.weights.pop(event.anchor, None)
            held_by, held_mark = key, mark if key is LISTED else key_mark
            node, key = (MappingNode(), NO_KEY) if kind is MappingStartEvent else (SequenceNode(), LISTED)
            marks = node.marks
            stack.append((node, held_by, held_mark, event.anchor))
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            if len(stack) == 1 and kind is MappingEndEvent:
                limits_state.secured_mark = marks.get("secured")
            if merges:
                merge(node, merges.pop(len(stack), ()))
            value, key, mark, anchor = stack.pop()
            if anchor is not None:
                anchors[anchor] = value
                limits_state.weights.pop(anchor, None)
            if stack:
                node = stack[-1][0]
                marks = node.marks
            else:
                node = None
        elif kind is AliasEvent:
            mark = event.start_mark
            value = limits_state.resolve(event.anchor, mark)
            nodes += limits_state.weights[event.anchor]
            if key is NO_KEY:
                if not isinstance(value, str):
                    raise Stop(limits_state.make("yaml_key", mark, "A field's name cannot be a list or a mapping."))
                key, key_mark = limits_state.field_name(value, False, mark), mark
                continue
        elif kind is DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise Stop(limits_state.make("several_documents", event.start_mark))
            continue
        elif kind is StreamEndEvent:
            limits_state.nodes = nodes
            return root, root_mark
        else:
            continue
        if nodes > max_nodes:
            raise Stop(limits_state.make("too_many_nodes", mark, expected=f"at most {max_nodes:,}"))
        # The value is complete: attach it to its parent.
        if not value:
            limits_state.has_blanks = True
        if type(key) is str:
            node[key] = value
            marks[key] = mark
            key = NO_KEY
        elif node is None:
            root, root_mark = value, mark
        elif key is LISTED:
            node.append(value)
            marks.append(mark)
        else:
            if key is MERGE_KEY:
                limits_state.note_merge(value, key_mark)
            key = NO_KEY


def _root(root: object, mark: Mark | None, limits_state: ParserLimits) -> MappingNode | None:
    """Return the outermost value if it is a mapping with at least one field. Else add a problem and return None."""
    if isinstance(root, MappingNode) and root:
        return root
    if any(found.severity is Severity.ERROR for found in limits_state.problems):
        return None  # its fields were dropped, and the problems already say why
    if mark is None or root is None or root == {}:
        line, column = limits_state.places.first_line - 1, 1
        limits_state.problems.append(problem("empty_front_matter", line=line, column=column))
    else:
        shape = "a list" if isinstance(root, SequenceNode) else "a text"
        limits_state.note("not_a_mapping", mark, f"The front matter is {shape}.")
    return None
