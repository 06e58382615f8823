"""Values of unknown fields: a plain number is stored as a number, `true` and `false` as booleans, all others as text.

A number counts only if writing it gives the same text again. So `007`, `1.10`, `1e5`, numbers in quotes and integers
beyond 2^53, which JavaScript cannot hold, stay text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

from pydantic import BaseModel

from schemas.article import Article, Image
from schemas.kinds import Code
from schemas.references import Reference
from worker.documents.positions import Mark
from worker.documents.yaml.nodes import MappingNode, SequenceNode

MAX_INTEGER = 2**53
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?P<fraction>\.[0-9]{1,17})?")
_BOOLEANS = {"true": True, "false": False}

Plain = str | int | float | bool | MappingNode | SequenceNode | None


IsPlain = Callable[[str, int], bool]
"""Whether the value at an index of the text is written without quotes."""


def convert_unknown_fields(model: Article | Reference, node: MappingNode, text: str, plain: Container[int]) -> None:
    """Convert the values of all fields of `node` that its `model` does not have, and those of its parts, in the model.

    `text` is the YAML block. `plain`: see `Parsed.plain`.
    """

    def is_plain(value: str, index: int) -> bool:
        return text.startswith(value, index) or index in plain

    _convert_extra(model, node, is_plain)
    _convert_each(model.images, node, is_plain)
    if not isinstance(model, Article):
        return
    if model.ratings is not None:
        _convert_extra(model.ratings, node["ratings"], is_plain)
    if isinstance(model, Code) and model.github is not None:
        _convert_extra(model.github, node["github"], is_plain)
    if model.provider is not None:
        _convert_extra(model.provider, node["provider"], is_plain)
    if not model.related:
        return
    for entry, item in zip(model.related, node["related"], strict=True):
        if item.__class__ is MappingNode:  # an entry from the cache has no node, and is converted already
            if entry.model_extra:
                _convert_extra(entry, item, is_plain)
            if entry.images:
                _convert_each(entry.images, item, is_plain)
            if entry.provider is not None and entry.provider.model_extra:
                _convert_extra(entry.provider, item["provider"], is_plain)


def _convert_each(images: list[Image], node: MappingNode, is_plain: IsPlain) -> None:
    for index, image in enumerate(images):
        if image.model_extra:
            _convert_extra(image, node["images"][index], is_plain)


def _convert_extra(model: BaseModel, node: MappingNode, is_plain: IsPlain) -> None:
    extra = model.model_extra
    if extra:
        for name in extra:
            extra[name] = _converted(node[name], node.marks[name], is_plain)


def _converted(value: Plain, mark: Mark, is_plain: IsPlain) -> Plain:
    """Return the value with its type. Lists and mappings are copied, because an alias may repeat them elsewhere."""
    if isinstance(value, str):
        typed = typed_value(value)
        return value if typed is None or not is_plain(value, mark.index) else typed
    if isinstance(value, MappingNode):
        mapping = MappingNode()
        mapping.marks = value.marks
        for name, one in value.items():
            mapping[name] = _converted(one, value.marks[name], is_plain)
        return mapping
    if isinstance(value, SequenceNode):
        items = SequenceNode()
        items.marks, items.numbers = value.marks, value.numbers
        items.extend(_converted(one, at, is_plain) for one, at in zip(value, value.marks, strict=True))
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


__all__ = ["convert_unknown_fields", "typed_value"]
