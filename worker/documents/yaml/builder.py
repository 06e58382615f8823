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
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from schemas.known_names import KNOWN_NAMES
from schemas.problem import Problem, Severity, problem
from worker.documents.limits import DEFAULT, Limits
from worker.documents.positions import Places
from worker.documents.yaml.comments import note_comments
from worker.documents.yaml.line_breaks import hide_other_breaks
from worker.documents.yaml.mistakes import describe_root, diagnose
from worker.documents.yaml.nodes import MappingNode, SequenceNode, drop_long_values
from worker.documents.yaml.parser_state import LISTED, NO_KEY, NULL_WORDS, PLAIN_TEXT, ParserState, Stop
from worker.documents.yaml.surrogates import is_bad_escape, join_surrogates

_STARTS = frozenset({MappingStartEvent, SequenceStartEvent})
_ENDS = frozenset({MappingEndEvent, SequenceEndEvent})


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
    has_invisible: bool = True
    """Whether a value may have characters that nobody sees. False is certain, True is not."""
    nodes: int = 0
    """The number of scalars, lists and mappings, as `Limits.max_nodes` counts them."""
    has_anchors: bool = True
    """Whether the block has anchors, so that an alias may repeat a value."""
    unknown_names: frozenset[str] = frozenset()
    """The names of fields, at any depth, that no model has."""
    plain: frozenset[int] = frozenset()
    """The indices of aliases, and of values with an anchor or a tag, whose text is written without quotes."""


def parse(text: str, first_line: int, limits: Limits = DEFAULT) -> Parsed:
    """Parse a YAML block that begins on line `first_line` of its document. Errors of YAML become problems."""
    text = hide_other_breaks(text)
    is_joined = False
    while True:
        state = ParserState(text, first_line, limits)
        try:
            tree = _root(_build(text, state), state)
        except Stop as stop:
            return Parsed(None, [*state.problems, stop.found], state.places)
        except yaml.YAMLError as error:
            if is_joined or not is_bad_escape(error):
                return Parsed(None, [*state.problems, diagnose(error, text, state.places)], state.places)
            text, is_joined = join_surrogates(text, limits.max_nodes), True
        else:
            return _parsed(tree, text, state)


def _parsed(tree: MappingNode | None, text: str, state: ParserState) -> Parsed:
    """Return the result of a block without an error, after the checks that need the whole tree."""
    if tree is not None:
        if len(text) > state.limits.max_scalar:
            drop_long_values(tree, state.limits.max_scalar, state.note_long_value)
        note_comments(text, tree, state.note_at)
    state.note_unused_anchors()
    return Parsed(
        tree,
        state.problems,
        state.places,
        state.places.of_mark(state.secured_mark) if state.secured_mark else None,
        state.has_blanks,
        state.has_invisible,
        state.nodes,
        bool(state.anchors),
        frozenset(state.unknown_names),
        frozenset(state.plain),
    )


def _build(text: str, state: ParserState) -> SequenceNode:
    """Return a list that contains the outermost value with its mark. Raises Stop at a limit, and YAMLError if the text is not YAML.

    This is one loop with few calls, because it runs for every value of every document. `state` does what is rare.
    """
    get_event = CParser(text).get_event
    max_nodes = state.limits.max_nodes
    strict, is_plain = state.needs_check, PLAIN_TEXT.fullmatch  # if `strict` is False, every value is clean
    root = SequenceNode()
    node: Any = root  # the innermost open mapping or list
    marks: Any = root.marks  # the marks of `node`
    key: Any = LISTED
    key_mark: Any = None
    nodes = 0
    while True:
        event: Any = get_event()
        kind = type(event)
        if kind is ScalarEvent:
            nodes += 1
            value: Any = event.value
            mark = event.start_mark
            tagged = event.tag is not None or event.anchor is not None
            if key is NO_KEY:
                key_mark = mark
                key = value if value in KNOWN_NAMES and value not in node and not tagged else state.name_of(event, node)
                continue
            if tagged or value[:5] in NULL_WORDS or (strict and not is_plain(value)):
                value, mark = state.value_of(event, key, key_mark)
        elif kind in _STARTS:
            nodes += 1
            node, key = state.open(event, node, key, key_mark)
            marks = node.marks
            continue
        elif kind in _ENDS:
            value, key, mark, node = state.close(root)
            marks = node.marks
        elif kind is AliasEvent:
            mark = event.start_mark
            value, weight = state.resolve(event.anchor, mark)
            nodes += weight
        elif state.is_end(event):
            state.nodes = nodes
            return root
        else:
            continue
        if nodes > max_nodes:
            raise Stop(state.make("too_many_nodes", mark, expected=f"at most {max_nodes:,}"))
        # The value is complete: attach it to its parent.
        if type(key) is str:
            node[key] = value
            marks[key] = mark
            key = NO_KEY
        elif key is LISTED:
            node.append(value)
            marks.append(mark)
        else:
            key, key_mark = state.without_parent(key, key_mark, value, mark)


def _root(outermost: SequenceNode, state: ParserState) -> MappingNode | None:
    """Return the outermost value if it is a mapping with at least one field. Else add a problem and return None."""
    root = outermost[0] if outermost else None
    if isinstance(root, MappingNode) and root:
        return root
    if any(found.severity is Severity.ERROR for found in state.problems):
        return None  # its fields were dropped, and the problems already say why
    if root is None or root == {}:
        line, column = state.places.first_line - 1, 1
        state.problems.append(problem("empty_front_matter", line=line, column=column))
    else:
        state.note("not_a_mapping", outermost.marks[0], describe_root(root))
    return None
