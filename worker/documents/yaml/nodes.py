"""What a YAML block says: mappings, lists, text and nothing, each knowing where it stands in the document."""

from __future__ import annotations

from typing import Any, TypeAlias

from worker.documents.positions import Mark, Places

Value: TypeAlias = "str | MappingNode | SequenceNode | None"


class MappingNode(dict[str, Any]):
    """A mapping of texts to values; `marks` holds where each value stands, or its name where it is empty or nested."""

    __slots__ = ("marks",)

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}


class SequenceNode(list[Any]):
    """A list of values; `marks` holds where each stands."""

    __slots__ = ("marks", "numbers")

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.numbers: list[int] | None = None
        """The index that each entry has in the document, once any was removed."""

    def remove_at(self, indices: set[int]) -> None:
        """Take entries out; those that stay remember their number in the document."""
        remaining = [index for index in range(len(self)) if index not in indices]
        self.numbers = [self.numbers[index] for index in remaining] if self.numbers else remaining
        self.marks = [self.marks[index] for index in remaining]
        self[:] = [self[index] for index in remaining]


Path: TypeAlias = "tuple[str | int, ...]"


def find(root: MappingNode, path: Path) -> object:
    """Find what stands at `path`, or None."""
    node: object = root
    for step in path:
        node = find_step(node, step)
    return node


def locate(root: MappingNode, path: Path, places: Places) -> tuple[int, int]:
    """Find the line and column of what stands at `path`, or of the nearest part around it; else of the first line."""
    best: tuple[int, int] = (1, 1)
    node: Any = root
    for step in path:
        if not isinstance(node, MappingNode | SequenceNode):
            break
        best = place_of(node, step, places) or best
        try:
            node = node[step]  # type: ignore[index]  # the path leads through containers only
        except (KeyError, IndexError):
            break
    return best


def original_path(root: MappingNode, path: Path) -> Path:
    """Number the steps of `path` as the document does, counting what was removed."""
    node: Any = root
    steps: list[str | int] = []
    for step in path:
        numbers = node.numbers if isinstance(node, SequenceNode) else None
        steps.append(numbers[step] if numbers and isinstance(step, int) and step < len(numbers) else step)
        node = find_step(node, step)
    return tuple(steps)


def find_step(node: object, step: str | int) -> object:
    """Take one step, to None where there is nothing."""
    if not isinstance(node, MappingNode | SequenceNode):
        return None
    try:
        return node[step]  # type: ignore[index]  # as above
    except (KeyError, IndexError, TypeError):
        return None


def place_of(node: MappingNode | SequenceNode, key: str | int, places: Places) -> tuple[int, int] | None:
    """Find the line and column of an entry of `node`."""
    try:
        mark = node.marks[key]  # type: ignore[index]  # the key is of the node's own kind
    except (KeyError, IndexError):
        return None
    return places.of_mark(mark)


def path_text(path: list[str | int] | tuple[str | int, ...]) -> str:
    """Write a path as `related[2].publishedDateTime`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
