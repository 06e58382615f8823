"""Make untrusted text safe for a terminal: no control or format character is written.

Documents, sources, reasons and arguments come from outside. `escape_output` covers every line that a command writes,
also the lines of libraries.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

_MAY_BE_UNPRINTABLE = re.compile(r"[^\n\x20-\x7e]+")
_REPLACEMENT = "\ufffd"
_JOINER = "\u200d"
_EMOJI_JOINER = re.compile(
    "(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)
"""The joiner within an emoji of several characters. It hides nothing there, and without it a reader sees another emoji."""


def plain(text: str) -> str:
    """Return `text` as one line without control and format characters (escape, bidi) and surrogates."""
    if text.isprintable():
        return text
    return replace_characters(text, _replaced)


def printable(text: str) -> str:
    """Like `plain`, but line feeds and tabs are kept."""
    return replace_unprintable(text, lambda character: "\t" if character == "\t" else _replaced(character))


def replace_characters(text: str, replace: Callable[[str], str]) -> str:
    """Return `text` with `replace` applied to each character but the joiners within emoji."""
    return _JOINER.join("".join(map(replace, part)) for part in _EMOJI_JOINER.split(text))


def replace_unprintable(text: str, replace: Callable[[str], str]) -> str:
    """Return `text` with `replace` applied to each character that is neither printable nor a line feed."""

    def replaced(match: re.Match[str]) -> str:
        run = match[0]
        if run.isprintable():
            return run
        return replace_characters(run, lambda one: one if one.isprintable() else replace(one))

    return _MAY_BE_UNPRINTABLE.sub(replaced, text)


def _replaced(character: str) -> str:
    if character.isprintable():
        return character
    # A no-break space or an ideographic space becomes a space; NEL and line or paragraph separators do not.
    return " " if character.isspace() and character > "\x9f" and character not in "\u2028\u2029" else _REPLACEMENT


class PrintableStream:
    """A text stream that applies `printable` to all text. It has no `buffer`, so no code can bypass it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # characters that the terminal's encoding lacks are written as \xNN
            reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.stream, name)


def escape_output() -> None:
    """Replace standard output and standard error of this process by `PrintableStream`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PrintableStream):
            setattr(sys, name, PrintableStream(stream))


def underlying(stream: TextIO | PrintableStream) -> TextIO:
    """Return the stream behind a `PrintableStream`, for code that cleans texts itself and writes escape sequences."""
    return stream.stream if isinstance(stream, PrintableStream) else stream
