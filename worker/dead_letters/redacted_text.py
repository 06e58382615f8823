"""Redact a document's text so that people can read and edit it; the secrets are put back when it is sent.

`secured` values, URL credentials and passwords are replaced by marks such as `⟦hidden 1 3f9a⟧`. A mark never occurs
in the text itself, so that a document cannot contain one and have a secret copied to another place.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from worker.telemetry.redaction import secret_spans

# The value is a quoted string up to its end, else the line and all lines below it that are indented deeper or blank.
_SECURED_FIELD = re.compile(
    r"""^([ \t]*)(?:-[ \t]+)?["']?secured["']?[ \t]*:[ \t]*"""
    r"""((?:"(?:[^"\\]|\\.)*"|'[^']*')|[^\n]*(?:\n(?:\1[ \t]+[^\n]*|[ \t]*(?=\n)))*)""",
    re.MULTILINE,
)
_MARK = re.compile(r"⟦hidden [0-9]{1,9} [0-9a-f]{4,64}⟧")
_LINE = re.compile(r"""[^\s"'|>](?:[^\n]*[^\s"'])?""")


@dataclass(frozen=True, slots=True)
class RedactedText:
    """A document's text with marks in place of secrets.

    `text`: the same lines as the document's, with `\\n` as line break. `secrets`: mark → secret. `encoding`: the name
    of the encoding with which the bytes were decoded; another than UTF-8 if they are not valid UTF-8.
    """

    text: str
    secrets: dict[str, str]
    encoding: str
    breaks: str
    """The document's line break: `\\r\\n` if all of its lines end so, else `\\n`."""

    def raw(self, text: str) -> bytes:
        """Return an edited version of `text` as UTF-8, with the secrets and the document's line breaks put back."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        # One pass for all marks: a pass for each of thousands of marks would take minutes.
        text = _MARK.sub(lambda mark: self.secrets.get(mark[0], mark[0]), text)
        return text.replace("\n", self.breaks).encode("utf-8", "replace")


def redact(raw: bytes) -> RedactedText:
    """Replace the secrets in a document by marks. The document may be any bytes."""
    text, encoding = _decoded(raw)
    breaks = "\r\n" if "\r\n" in text and text.count("\n") == text.count("\r\n") == text.count("\r") else "\n"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    spans = list(_merged(sorted([*secret_spans(text), *_secured(text)])))
    salt = _salt(raw, text)
    parts, secrets, at = [], dict[str, str](), 0
    marks: dict[str, str] = {}
    for start, end in spans:
        value = text[start:end]
        mark = marks.setdefault(value, f"⟦hidden {len(marks) + 1} {salt}⟧")
        secrets[mark] = value
        parts += [text[at:start], mark]
        at = end
    return RedactedText("".join([*parts, text[at:]]), secrets, encoding, breaks)


def _secured(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of all values of `secured` fields: each line without its quotes, indicators and blanks."""
    for field in _SECURED_FIELD.finditer(text):
        start, end = field.span(2)
        for line in _LINE.finditer(text, start, end):
            yield line.span()


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current: tuple[int, int] | None = None
    for start, end in spans:
        if current is not None and start < current[1]:
            current = current[0], max(current[1], end)
            continue
        if current is not None:
            yield current
        current = start, end
    if current is not None:
        yield current


def _salt(raw: bytes, text: str) -> str:
    """Return the digits of the marks: the same for the same bytes, and not in a mark of the text.

    Each try is one digit longer, because a text can contain marks with all combinations of four digits.
    """
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
