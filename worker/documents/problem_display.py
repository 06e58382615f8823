"""Format a problem like a compiler message: the sentence, the line, a caret under the column, and the remedy."""

from __future__ import annotations

import re
import unicodedata

from schemas.problem import CODES, MASKED, SECURED_NAME, Problem, Severity
from worker.telemetry.terminal import replace_characters

_WIDTH = 100  # characters shown of a line
_BEFORE = 60  # of them at most this many before the caret
_BREAK = re.compile(r"\r\n|\n|\r")
_SECURED = re.compile(r"""((?:^|[{,])[\s\-]*["']?\w*secur\w*["']?\s*:\s*).*""", re.IGNORECASE)
_CREDENTIALS = re.compile(r"//[^/?#\s\"']*@")


def render(raw: bytes, problem: Problem) -> str:
    """Return the text that explains one problem of the document `raw`."""
    place = f" (line {problem.line}, column {problem.column or 1})" if problem.line else ""
    subject = f" in {problem.field}" if problem.field else ""
    mark = "error" if problem.severity is Severity.ERROR else "warning"
    lines = [f"{mark}[{problem.code}]{subject}{place}: {problem.message}"]
    if problem.line is not None:
        lines += _shown_line(raw, problem.line, problem.column or 1, problem.field)
    if problem.expected:
        lines.append(f"  expected: {problem.expected}")
    remedy = CODES[problem.code].remedy if problem.code in CODES else ""
    if remedy:
        lines.append(f"  to mend: {remedy}")
    return "\n".join(lines)


def _shown_line(raw: bytes, line: int, column: int, field: str | None) -> list[str]:
    """Return a part of the line around the column, and a line with a caret under it. Secrets are masked."""
    rows = _BREAK.split(raw.decode("utf-8", "replace").removeprefix("\ufeff"), maxsplit=line)
    if line > len(rows):
        return []
    row = rows[line - 1]
    if SECURED_NAME.search(field or "") or _SECURED.search(row):
        row = _SECURED.sub(rf"\1{MASKED}", row) if _SECURED.search(row) else MASKED
        column = min(column, len(row) + 1)
    row = _CREDENTIALS.sub(lambda found: "//" + "*" * (len(found[0]) - 3) + "@", row)
    start = max(0, column - 1 - _BEFORE)
    head, tail = ("…" if start else ""), ("…" if len(row) > start + _WIDTH else "")
    shown = head + replace_characters(row[start : start + _WIDTH], _printable) + tail
    before = head + replace_characters(row[start : column - 1], _printable)
    number = f"  {line} | "
    return [number + shown, " " * (len(number) - 2) + "| " + " " * sum(map(_cells, before)) + "^"]


def _printable(character: str) -> str:
    """Return the character, or a replacement if a terminal would interpret or hide it. A tab becomes an arrow."""
    if character == "\t":
        return "→"
    return character if character.isprintable() else "�"


def _cells(character: str) -> int:
    """Return how many columns of a terminal the character takes: 0, 1 or 2."""
    if unicodedata.combining(character) or character == "\u200d":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
