"""Takes a document apart: the YAML block between two `---` lines, and the body after it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

from schemas.problem import Problem, problem
from worker.document.limits import DEFAULT, Limits

_OPENER = re.compile(r"---[ \t]*(?:\r\n|\n|\r|\Z)")
_CLOSER = re.compile(r"(?:(?<=\n)|(?<=\r)|\A)(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)")
_LANGUAGE = re.compile(r"---[ \t]*[A-Za-z][A-Za-z0-9]*[ \t]*(?:\r|\n|\Z)")
_TOML = re.compile(r"\+\+\+[ \t]*(?:\r|\n|\Z)")
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"-\x00-\x00", b"\x00-\x00-")

_RAW_BLOCK = re.compile(rb"\A(?:\xef\xbb\xbf)?---[ \t]*(?:\r\n|\n|\r)(.*?)(?:(?<=\n)|(?<=\r))(?:---|\.\.\.)[ \t]*(?:\r|\n|\Z)", re.S)
_SECURED = re.compile(rb'^secured: "([A-Za-z0-9+/=]{1,4096};[A-Za-z0-9+/=]{1,64})"[ \t]*\r?$', re.M)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The block's text, the line of the document on which it begins, and what follows it."""

    text: str
    first_line: int
    body: str


def split(raw: bytes, limits: Limits = DEFAULT) -> FrontMatter | Problem:
    """Find the front matter; whatever prevents it is one problem."""
    if len(raw) > limits.max_bytes:
        return problem("too_large", f"The document has {len(raw):,} bytes.", expected=f"at most {limits.max_bytes:,}")
    if raw.startswith(_UTF16):
        return problem("utf16", "The document is written in UTF-16.", line=1, column=1, expected="UTF-8")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(raw[: error.start].decode("utf-8", "replace"))
        return problem(
            "not_utf8",
            f"The byte 0x{raw[error.start]:02X} is not part of any UTF-8 character.",
            line=line,
            column=column,
            expected="UTF-8",
        )
    text = text.removeprefix("\ufeff")
    opener = _OPENER.match(text)
    if opener is None:
        return _no_opener(text)
    closer = _CLOSER.search(text, opener.end())
    if closer is None:
        message = "The front matter opens here and no line with --- alone closes it."
        return problem("front_matter_not_closed", message, line=1, column=1, expected="---")
    block = text[opener.end() : closer.start()]
    if not block.strip():
        return problem("empty_front_matter", "The front matter is empty.", line=1, column=1, expected="fields")
    return FrontMatter(block, 2, text[closer.end() :])


def _no_opener(text: str) -> Problem:
    """Say what the document begins with instead of `---`."""
    if not text.strip():
        return problem("empty_document", "The document is empty.", line=1, column=1, expected="---")
    code, message = "no_front_matter", "The first line is not --- alone."
    if _TOML.match(text):
        code, message = "toml_front_matter", "The front matter is TOML (+++)."
    elif text.startswith(("{", ";;;")):
        code, message = "json_front_matter", "The document begins with JSON."
    elif _LANGUAGE.match(text):
        code, message = "front_matter_language", "The opening --- names a language; none is evaluated here."
    return problem(code, message, line=1, column=1, expected="---")


def _place(before: str) -> tuple[int, int]:
    """Count the line and column that come after `before`."""
    lines = before.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return lines.count("\n") + 1, len(lines) - (lines.rfind("\n") + 1) + 1


def secured_line(raw: bytes) -> tuple[int, int, int] | None:
    """Find the one line that can be `secured`: where its value starts and ends, and the line's number in the document.

    None when there is no such line or when it is not certain which.
    """
    block = _RAW_BLOCK.match(raw)
    if block is None:
        return None
    found = list(_SECURED.finditer(raw, block.start(1), block.end(1)))
    if len(found) != 1:
        return None
    start, end = found[0].span(1)
    before = raw[:start]
    return start, end, before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1


def fingerprint(raw: bytes, limits: Limits = DEFAULT) -> bytes:
    """Digest the document without its `secured` value, so that equal ones are recognised without parsing.

    Only a digest that `Reading.fingerprint` confirmed may be compared against: the parser then saw that the blanked
    line is the top-level key, so that another base64 text in its place cannot change what the rest says.
    """
    span = secured_line(raw) if len(raw) <= limits.max_bytes else None
    if span is None:
        return blake2b(raw, digest_size=16, person=b"whole").digest()
    digest = blake2b(raw[: span[0]], digest_size=16, person=b"unsecured")
    digest.update(b"\0")  # no base64 text: where the value was cannot be mistaken
    digest.update(raw[span[1] :])
    return digest.digest()
