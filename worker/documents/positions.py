"""Translate positions in the YAML block into lines and columns as an editor counts them."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

_BREAK = re.compile(r"\r\n|\n|\r")


class Mark(Protocol):
    """A position in the text as PyYAML gives it. All numbers count from 0."""

    @property
    def index(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A `Mark` that is not created by PyYAML."""

    index: int
    line: int
    column: int


class Places:
    """Translates positions in a YAML block into lines and columns of the document, counted from 1.

    `first_line` is the document's line on which the block begins. `text` is the block as the parser read it.
    """

    __slots__ = ("_starts", "first_line", "text")

    def __init__(self, text: str, first_line: int) -> None:
        self.first_line = first_line
        self.text = text
        self._starts: list[int] | None = None

    def of_mark(self, mark: Mark) -> tuple[int, int]:
        """Return the line and column of a mark of the parser."""
        return mark.line + self.first_line, mark.column + 1

    def of_index(self, index: int) -> tuple[int, int]:
        """Return the line and column of the character at `index` of the block."""
        if self._starts is None:
            self._starts = [0, *(found.end() for found in _BREAK.finditer(self.text))]
        row = bisect_right(self._starts, index) - 1
        return row + self.first_line, index - self._starts[row] + 1
