"""A document's text for people to see and mend, without what nobody may see; what was hidden comes back when it is sent.

`secured` values, URL credentials and passwords become marks such as `⟦hidden 1 3f9a⟧`. The mark is none that the text has,
so that a document cannot name one to have its secret put elsewhere.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from worker.telemetry.redaction import secret_spans

# What stands in quotes up to their end, else the line and all that is indented deeper or blank below it.
_SECURED_FIELD = re.compile(
    r"""^([ \t]*)(?:-[ \t]+)?["']?secured["']?[ \t]*:[ \t]*"""
    r"""((?:"(?:[^"\\]|\\.)*"|'[^']*')|[^\n]*(?:\n(?:\1[ \t]+[^\n]*|[ \t]*(?=\n)))*)""",
    re.MULTILINE,
)
_MARK = re.compile(r"⟦hidden [0-9]{1,9} [0-9a-f]{4,64}⟧")
_LINE = re.compile(r"""[^\s"'|>](?:[^\n]*[^\s"'])?""")


@dataclass(frozen=True, slots=True)
class RedactedText:
    """`text`: line by line as the document has it, but for the marks. `hidden`: mark → what it stands for.

    `encoding`: by which the bytes were read; another than UTF-8 where they are none.
    """

    text: str
    hidden: dict[str, str]
    encoding: str
    breaks: str
    """How its lines end: `\\n`, or `\\r\\n` where all of them do."""

    def raw(self, text: str) -> bytes:
        """The bytes of a text that was made from `text`: as a form sends it, with the hidden put back."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        # In one walk: one for each of thousands of marks would be minutes.
        text = _MARK.sub(lambda mark: self.hidden.get(mark[0], mark[0]), text)
        return text.replace("\n", self.breaks).encode("utf-8", "replace")


def redact(raw: bytes) -> RedactedText:
    """Hide what is secret in a document of any bytes."""
    text, encoding = _decoded(raw)
    breaks = "\r\n" if "\r\n" in text and text.count("\n") == text.count("\r\n") == text.count("\r") else "\n"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    spans = list(_merged(sorted([*secret_spans(text), *_secured(text)])))
    salt = _salt(raw, text)
    parts, hidden, at = [], dict[str, str](), 0
    marks: dict[str, str] = {}
    for start, end in spans:
        value = text[start:end]
        mark = marks.setdefault(value, f"⟦hidden {len(marks) + 1} {salt}⟧")
        hidden[mark] = value
        parts += [text[at:start], mark]
        at = end
    return RedactedText("".join([*parts, text[at:]]), hidden, encoding, breaks)


def _secured(text: str) -> Iterator[tuple[int, int]]:
    """The values of all fields that can be `secured`: of each line what is not quote, indicator or blank."""
    for field in _SECURED_FIELD.finditer(text):
        start, end = field.span(2)
        for line in _LINE.finditer(text, start, end):
            yield line.span()


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    held: tuple[int, int] | None = None
    for start, end in spans:
        if held is not None and start < held[1]:
            held = held[0], max(held[1], end)
            continue
        if held is not None:
            yield held
        held = start, end
    if held is not None:
        yield held


def _salt(raw: bytes, text: str) -> str:
    """The same for the same bytes, and nowhere in the text. Each try is longer, for a text can hold all of four digits."""
    digits = sha256(raw).hexdigest()
    return next(digits[:length] for length in range(4, 65) if f" {digits[:length]}⟧" not in text)


def _decoded(raw: bytes) -> tuple[str, str]:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if raw.startswith(mark):
            return raw.decode(encoding, "replace"), "UTF-16"
    try:
        return raw.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), "Windows-1252"
