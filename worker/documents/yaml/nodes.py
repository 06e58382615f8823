"""The nodes of a parsed YAML block: mappings and lists that know the position of each value, and anchored values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from worker.documents.positions import Mark, Places

Value: TypeAlias = "str | MappingNode | SequenceNode | None"


class MappingNode(dict[str, Any]):
    """A mapping. `marks` has the position of each value, or of its field name if the value is empty or nested."""

    __slots__ = ("marks",)

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}


class SequenceNode(list[Any]):
    """A list. `marks` has the position of each entry."""

    __slots__ = ("marks", "numbers")

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.numbers: list[int] | None = None
        """The index of each entry in the document, or None if no entry was removed."""

    def remove_at(self, indices: set[int]) -> None:
        """Remove entries. `numbers` keeps the original index of the others."""
        remaining = [index for index in range(len(self)) if index not in indices]
        self.numbers = [self.numbers[index] for index in remaining] if self.numbers else remaining
        self.marks = [self.marks[index] for index in remaining]
        self[:] = [self[index] for index in remaining]


Node: TypeAlias = "MappingNode | SequenceNode"
Path: TypeAlias = "tuple[str | int, ...]"


def find(root: MappingNode, path: Path) -> object:
    """Return the value at `path`, or None."""
    node: object = root
    for step in path:
        node = find_step(node, step)
    return node


def locate(root: MappingNode, path: Path, places: Places) -> tuple[int, int]:
    """Return the line and column of the value at `path`, else of the nearest part around it, else (1, 1)."""
    best: tuple[int, int] = (1, 1)
    node: object = root
    for step in path:
        if not isinstance(node, MappingNode | SequenceNode):
            break
        best = place_of(node, step, places) or best
        node = find_step(node, step)
    return best


def original_path(root: MappingNode, path: Path) -> Path:
    """Return `path` with the indices that the entries have in the document, before any were removed."""
    node: object = root
    steps: list[str | int] = []
    for step in path:
        numbers = node.numbers if isinstance(node, SequenceNode) else None
        steps.append(numbers[step] if numbers and isinstance(step, int) and step < len(numbers) else step)
        node = find_step(node, step)
    return tuple(steps)


def find_step(node: object, step: str | int) -> object:
    """Return the value of `node` at one step of a path, or None."""
    if not isinstance(node, MappingNode | SequenceNode):
        return None
    try:
        return node[step]  # type: ignore[index]  # a step of another kind is a TypeError
    except (KeyError, IndexError, TypeError):
        return None


def place_of(node: MappingNode | SequenceNode, key: str | int, places: Places) -> tuple[int, int] | None:
    """Return the line and column of the value of `node` under `key`, or None."""
    try:
        mark = node.marks[key]  # type: ignore[index]  # the key is of the node's own kind
    except (KeyError, IndexError):
        return None
    return places.of_mark(mark)


def path_text(path: list[str | int] | tuple[str | int, ...]) -> str:
    """Return a path as text, such as `related[2].publishedDateTime`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def children(node: MappingNode | SequenceNode) -> Iterator[tuple[str | int, object]]:
    """Yield each value of `node` with its key or index."""
    return iter(node.items()) if isinstance(node, MappingNode) else iter(enumerate(node))


def walk(root: MappingNode) -> Iterator[tuple[MappingNode | SequenceNode, Path, str | int, object]]:
    """Yield each value below `root`: its parent, the parent's path, its key or index, and the value itself.

    A value that aliases repeat comes once for each place.
    """
    waiting: list[tuple[MappingNode | SequenceNode, Path]] = [(root, ())]
    while waiting:
        node, path = waiting.pop()
        for step, value in list(children(node)):
            yield node, path, step, value
            if isinstance(value, MappingNode | SequenceNode):
                waiting.append((value, (*path, step)))


def drop_long_values(root: MappingNode, max_length: int, note: Callable[[Mark, str, str], None]) -> None:
    """Replace each text of more than `max_length` characters by None, and call `note` with its mark, path and text."""
    for node, path, step, value in walk(root):
        if isinstance(value, str) and len(value) > max_length:
            note(node.marks[step], path_text((*path, step)), value)  # type: ignore[index]  # the step is the node's own
            node[step] = None  # type: ignore[index]  # as above


def merge(node: MappingNode | SequenceNode, sources: Iterable[MappingNode]) -> None:
    """Copy to `node` the fields of `sources` that it does not have. The first source with a field wins."""
    if isinstance(node, MappingNode):
        for source in sources:
            for key, value in source.items():
                if key not in node:
                    node[key] = value
                    node.marks[key] = source.marks[key]


OPEN = object()
"""The value of an anchor until its node is closed."""


@dataclass(slots=True)
class Anchor:
    """A value that aliases may repeat. `is_plain`: it is written without quotes, and no tag makes it a text."""

    mark: Mark
    value: object
    is_plain: bool
    is_used: bool = False
    weight: int | None = None
    """The result of `weigh`; None: it was not called since the value was set."""

    def weigh(self) -> int:
        """Return the number of nodes in the value, plus one for each KiB of a text: repeated long texts use memory too."""
        if self.weight is None:
            self.weight = _weigh(self.value)
        return self.weight


def _weigh(value: object) -> int:
    total = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        total += 1
        if isinstance(part, str):
            total += len(part) >> 10
        elif isinstance(part, MappingNode):
            waiting.extend(part.values())
        elif isinstance(part, SequenceNode):
            waiting.extend(part)
    return total
