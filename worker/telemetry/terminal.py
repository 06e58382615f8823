"""Text of others on a terminal: whatever it holds, no control or format character gets there.

Documents, sources, reasons and arguments are chosen by others. `guard_output` holds for every line that a command writes, also
for those of libraries.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

_MAY_BE_UNPRINTABLE = re.compile(r"[^\n\x20-\x7e]+")
_REPLACEMENT = "\ufffd"


def plain(text: str) -> str:
    """`text` in one line, without what a terminal obeys or hides: control and format characters (escape, bidi), surrogates."""
    return text if text.isprintable() else "".join(map(_shown, text))


def printable(text: str) -> str:
    """As `plain`, but lines stay lines and a tab stays a tab."""
    return replace_unprintable(text, lambda character: "\t" if character == "\t" else _shown(character))


def replace_unprintable(text: str, replace: Callable[[str], str]) -> str:
    """`text` with each character replaced that is neither printable nor the end of a line."""

    def replaced(found: re.Match[str]) -> str:
        run = found[0]
        return run if run.isprintable() else "".join(one if one.isprintable() else replace(one) for one in run)

    return _MAY_BE_UNPRINTABLE.sub(replaced, text)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    # A no-break or an ideographic space is a space; NEL and the separators of lines and paragraphs are none.
    return " " if character.isspace() and character > "\x9f" and character not in "\u2028\u2029" else _REPLACEMENT


class GuardedStream:
    """A text stream that writes `printable` text only. It has no `buffer`, so nobody writes past it."""

    def __init__(self, stream: Any) -> None:
        self.unguarded = stream
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # what the encoding of the terminal does not have is written as \xNN
            reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        self.unguarded.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.unguarded, name)


def guard_output() -> None:
    """From now on this process writes only `printable` text to standard output and standard error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, GuardedStream):
            setattr(sys, name, GuardedStream(stream))


def unguarded(stream: Any) -> Any:
    """The stream below the guard, for code that makes each text printable and writes escape sequences of its own."""
    return stream.unguarded if isinstance(stream, GuardedStream) else stream
