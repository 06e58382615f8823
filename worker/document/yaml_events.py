"""Builds the mapping of a YAML block from the events of libyaml.

Nothing is evaluated: a value stays the text that stands there, or None where nothing does. Everything that can grow
beyond the text (nesting, aliases, merges) is counted as it comes, so the parser stops before it can hurt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs do not know it
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
from worker.document.limits import DEFAULT, Limits
from worker.document.places import Mark, Places
from worker.document.surrogates import join_surrogates
from worker.document.tree import Mapping, Sequence
from worker.document.yaml_guard import MERGE_KEY, NO_KEY, Frame, Guard, Stop, merge
from worker.document.yaml_mistakes import diagnose

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_FORCES_TEXT = frozenset({"!", "tag:yaml.org,2002:str"})
_REPAIR_CHARACTERS = 4_194_304  # of text parsed again to mend surrogates: four documents of the largest size


@dataclass(slots=True)
class Parsed:
    """What the block says, as far as it could be read, and what was wrong with it."""

    tree: Mapping | None
    problems: list[Problem]
    places: Places
    secured_line: int | None = None
    """The line on which the top-level `secured` stands whole, in double quotes."""


def parse(text: str, first_line: int, limits: Limits = DEFAULT) -> Parsed:
    """Parse a YAML block that begins on line `first_line` of its document."""
    budget = _REPAIR_CHARACTERS
    while True:
        guard = Guard(text, first_line, limits)
        try:
            tree = _root(*_build(text, guard), guard)
        except Stop as stop:
            return Parsed(None, [*guard.problems, stop.found], guard.places)
        except yaml.YAMLError as error:
            budget -= len(text)
            mended = join_surrogates(text, error) if budget > 0 else None
            if mended is None:
                return Parsed(None, [*guard.problems, diagnose(error, text, guard.places)], guard.places)
            text = mended
        else:
            return Parsed(tree, guard.problems, guard.places, guard.secured_line)


def _build(text: str, guard: Guard) -> tuple[Any, Mark | None]:
    """Turn events into values. One loop and no calls where none are needed: it runs for every value there is."""
    get_event = CParser(text).get_event
    stack, anchors, suspect = guard.stack, guard.anchors, guard.suspect
    max_depth, max_nodes, max_scalar = guard.limits.max_depth, guard.limits.max_nodes, guard.limits.max_scalar
    max_key = guard.limits.max_key_length
    node: Any = None  # the innermost open mapping or list
    in_mapping = False
    key: Any = NO_KEY
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
            plain = not event.style
            if event.tag is not None:
                guard.check_tag(event.tag, event.start_mark)
                plain = plain and event.tag not in _FORCES_TEXT
            if in_mapping and key is NO_KEY:
                key_mark = mark
                if value not in node and len(value) <= max_key and value.isidentifier() and value.isascii():
                    key = value  # nearly every name there is
                else:
                    key = guard.field_name(value, plain, mark)
                if event.anchor is not None:
                    anchors[event.anchor] = value
                    guard.weights.pop(event.anchor, None)
                continue
            if plain and value in _NOTHING:
                value = None
                mark = key_mark if in_mapping else mark
            elif len(value) > max_scalar or (suspect and not (value.isascii() and value.isprintable())):
                value = guard.value(value, mark, key)
            if key == "secured" and len(stack) == 1 and event.style == '"' and in_mapping:
                line = guard.places.of_mark(key_mark)[0]
                if guard.places.of_mark(event.end_mark)[0] == line:
                    guard.secured_line = line
            if event.anchor is not None:
                anchors[event.anchor] = value
                guard.weights.pop(event.anchor, None)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            nodes += 1
            mark = event.start_mark
            if event.tag is not None:
                guard.check_tag(event.tag, event.start_mark)
            if in_mapping:
                if key is NO_KEY:
                    raise Stop(guard.make("yaml_key", mark, "A field's name cannot be a list or a mapping."))
                mark = key_mark
            if len(stack) >= max_depth:
                raise Stop(guard.make("too_deep", event.start_mark, expected=f"at most {max_depth} levels"))
            if event.anchor is not None:  # an alias inside must not find an older value of that name
                anchors.pop(event.anchor, None)
                guard.weights.pop(event.anchor, None)
            in_mapping = kind is MappingStartEvent
            node = Mapping() if in_mapping else Sequence()
            stack.append(Frame(node, key, mark, event.anchor))
            key = NO_KEY
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            frame = stack.pop()
            if frame.merges:
                merge(frame)
            value, key, mark = frame.node, frame.key, frame.mark
            if frame.anchor is not None:
                anchors[frame.anchor] = value
                guard.weights.pop(frame.anchor, None)
            node = stack[-1].node if stack else None
            in_mapping = type(node) is Mapping
        elif kind is AliasEvent:
            mark = event.start_mark
            value = guard.resolve(event.anchor, mark)
            nodes += guard.weights[event.anchor]
            if in_mapping and key is NO_KEY:
                if not isinstance(value, str):
                    raise Stop(guard.make("yaml_key", mark, "A field's name cannot be a list or a mapping."))
                key, key_mark = guard.field_name(value, False, mark), mark
                continue
        elif kind is DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise Stop(guard.make("several_documents", event.start_mark))
            continue
        elif kind is StreamEndEvent:
            return root, root_mark
        else:
            continue
        if nodes > max_nodes:
            raise Stop(guard.make("too_many_nodes", mark, expected=f"at most {max_nodes:,}"))
        # A value is whole: hang it where it belongs.
        if node is None:
            root, root_mark = value, mark
        elif in_mapping:
            if type(key) is str:
                node[key] = value
                node.marks[key] = mark
            elif key is MERGE_KEY:
                guard.note_merge(value, key_mark)
            key = NO_KEY
        else:
            node.append(value)
            node.marks.append(mark)


def _root(root: object, mark: Mark | None, guard: Guard) -> Mapping | None:
    """Take the outermost value, which has to be a mapping with something in it."""
    if isinstance(root, Mapping) and root:
        return root
    if any(found.severity is Severity.ERROR for found in guard.problems):
        return None  # it had something in it, which is lost for the reasons told
    if mark is None or root is None or root == {}:
        line, column = guard.places.first_line - 1, 1
        guard.problems.append(problem("empty_front_matter", line=line, column=column))
    else:
        shape = "a list" if isinstance(root, Sequence) else "a text"
        guard.note("not_a_mapping", mark, f"The front matter is {shape}.")
    return None
