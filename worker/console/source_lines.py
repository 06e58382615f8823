"""A document's text as numbered lines, with its problems marked. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.problem import Problem
from worker.dead_letters.redacted_text import RedactedText

_MAX_LINES = 300
_AROUND = 12  # lines before and after each problem, when not all lines are shown
_MAX_LINE = 600  # characters of a line
_TOKEN = re.compile(r"\S{1,40}")


@dataclass(slots=True)
class Line:
    """One line. `number`: 0 stands for lines that are left out. `marked`: the text at the problem's position."""

    number: int
    before: str
    marked: str = ""
    after: str = ""
    problems: list[Problem] = field(default_factory=list)


def source_lines(shown: RedactedText, problems: Sequence[Problem]) -> list[Line]:
    """Return the lines to show: all of a short document, else the beginning and those around its problems."""
    rows = shown.text.removeprefix("\ufeff").split("\n")
    by_line: dict[int, list[Problem]] = {}
    for one in problems:
        if one.line is not None and 1 <= one.line <= len(rows):
            by_line.setdefault(one.line, []).append(one)
    numbers = range(1, len(rows) + 1) if len(rows) <= _MAX_LINES else _around(by_line, len(rows))
    lines: list[Line] = []
    last = 0
    for number in numbers:
        if number != last + 1:
            lines.append(Line(0, _left_out(number - last - 1)))
        lines.append(_line(number, rows[number - 1], by_line.get(number, [])))
        last = number
    if last < len(rows):
        lines.append(Line(0, _left_out(len(rows) - last)))
    return lines


def _left_out(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'}"


def _around(by_line: dict[int, list[Problem]], count: int) -> list[int]:
    near = set(range(1, 41))
    for number in list(by_line)[:20]:
        near |= set(range(max(1, number - _AROUND), min(count, number + _AROUND) + 1))
    return sorted(number for number in near if number <= count)[: 2 * _MAX_LINES]


def _line(number: int, row: str, problems: list[Problem]) -> Line:
    column = next((one.column for one in problems if one.column is not None), None)
    if not problems or column is None or "⟦hidden " in row:
        # Where a value is hidden, columns refer to text that is not shown, so the whole line is marked.
        if problems:
            return Line(number, "", _cut(row), "", problems)
        return Line(number, _cut(row))
    place = min(column - 1, len(row))
    start = max(0, place - _MAX_LINE // 2)
    token = _TOKEN.match(row, place)
    end = token.end() if token else min(len(row), place + 1)
    before = ("…" if start else "") + row[start:place]
    return Line(number, before, row[place:end], _cut(row[end:]), problems)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_LINE else text[:_MAX_LINE] + "…"
