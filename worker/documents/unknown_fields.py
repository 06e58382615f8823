"""Values of unknown fields: a plain number is stored as a number, `true` and `false` as booleans, all others as text.

A number counts only if writing it gives the same text again. So `007`, `1.10`, `1e5`, numbers in quotes and integers
beyond 2^53, which JavaScript cannot hold, stay text.
"""

from __future__ import annotations

import re

from pydantic import BaseModel

from schemas.article import RelatedArticle
from schemas.known_names import PARTS, names_of
from worker.documents.normalisation import mappings
from worker.documents.positions import Mark
from worker.documents.yaml.nodes import MappingNode, SequenceNode

MAX_INTEGER = 2**53
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?P<fraction>\.[0-9]{1,17})?")
_BOOLEANS = {"true": True, "false": False}
_BEFORE_VALUE = re.compile(r"(?:(?:&[^\s,\[\]{}]+|!!(?:int|float|bool))\s+)*")
_ALIAS = re.compile(r"\*([^\s,\[\]{}:]+)")

Plain = str | int | float | bool | MappingNode | SequenceNode | None


_PART_NAMES = tuple((name, names_of(model)) for name, model in PARTS.items())
_ENTRY_NAMES = names_of(RelatedArticle)


def convert_unknown_fields(tree: MappingNode, model: type[BaseModel], text: str) -> None:
    """Convert the values of all fields that `model` and the models of its parts do not have. `text`: the YAML block."""
    _convert_fields(tree, names_of(model), text)
    related = tree.get("related")
    if related:
        for _, entry in mappings(related):
            _convert_fields(entry, _ENTRY_NAMES, text)


def _convert_fields(node: MappingNode, known: frozenset[str], text: str) -> None:
    if not node.keys() <= known:
        for name in node.keys() - known:
            node[name] = _converted(node[name], node.marks[name], text)
    for part, names in _PART_NAMES:
        if part in node:
            for _, value in mappings(node[part]):
                if not value.keys() <= names:
                    for name in value.keys() - names:
                        value[name] = _converted(value[name], value.marks[name], text)


def _converted(value: Plain, mark: Mark, text: str) -> Plain:
    """Return the value with its type. Lists and mappings are copied, because an alias may repeat them elsewhere."""
    if isinstance(value, str):
        typed = typed_value(value)
        return value if typed is None or not _is_plain(value, mark.index, text) else typed
    if isinstance(value, MappingNode):
        mapping = MappingNode()
        mapping.marks = value.marks
        for name, one in value.items():
            mapping[name] = _converted(one, value.marks[name], text)
        return mapping
    if isinstance(value, SequenceNode):
        items = SequenceNode()
        items.marks, items.numbers = value.marks, value.numbers
        items.extend(_converted(one, at, text) for one, at in zip(value, value.marks, strict=True))
        return items
    return value


def typed_value(text: str) -> int | float | bool | None:
    """Return the number or boolean that `text` writes in its only form, or None if it is neither."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        return None
    value = float(text) if number["fraction"] else int(text)
    return value if str(value) == text and abs(value) <= MAX_INTEGER else None


def _is_plain(value: str, index: int, text: str) -> bool:
    """Return whether the value at `index` is written without quotes, or an alias refers to one that is."""
    alias = _ALIAS.match(text, index)
    if alias is not None:
        anchor = text.rfind(f"&{alias[1]} ", 0, index)
        if anchor < 0:
            return False
        index = anchor
    before = _BEFORE_VALUE.match(text, index)
    return text.startswith(value, before.end() if before else index)


__all__ = ["convert_unknown_fields", "typed_value"]
