"""Split a document into front matter (the YAML block between two `---` lines) and body. Compute its fingerprint."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from schemas.problem import CODES, MASKED, SECURED_NAME, Problem, problem
from worker.documents.limits import DEFAULT, Limits

_BREAK = re.compile(r"\r\n|\n|\r")
_OPENER = re.compile(r"---[ \t]*(?:\r\n|\n|\r|\Z)")
_CLOSER = re.compile(r"\n(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)")
# Also accepts a carriage return alone as a line break.
_CLOSER_CR = re.compile(r"[\r\n](?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)")
_LANGUAGE = re.compile(r"---[ \t]*[A-Za-z][A-Za-z0-9]*[ \t]*(?:\r|\n|\Z)")
_TOML = re.compile(r"\+\+\+[ \t]*(?:\r|\n|\Z)")
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"-\x00-\x00", b"\x00-\x00-")

_SECURED_NAME = b'\nsecured: "'
_SECURED = re.compile(rb'[A-Za-z0-9+/=]{1,4096};[A-Za-z0-9+/=]{1,64}(?="[ \t]*\r?\n)')


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The YAML block with the line (from 1) on which it begins, and the body."""

    text: str
    first_line: int
    body: str

    @property
    def body_line(self) -> int:
        """The line (from 1) on which the body begins: the one after the line that closes the block."""
        return self.first_line + _place(self.text)[0]


def split(raw: bytes, limits: Limits = DEFAULT) -> FrontMatter | Problem:
    """Return the front matter and the body, or the one problem that prevents finding them."""
    if len(raw) > limits.max_bytes:
        return problem("too_large", f"The document has {len(raw):,} bytes.", expected=f"at most {limits.max_bytes:,}")
    if raw.startswith(_UTF16):
        return problem("utf16", "The document is written in UTF-16 or UTF-32.", line=1, column=1, expected="UTF-8")
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
    breaks_alone = "\r" in text and text.count("\r") != text.count("\r\n")
    start = opener.end() - 1
    closer = (_CLOSER_CR if breaks_alone else _CLOSER).search(text, start)
    if closer is None:
        message = "The front matter opens here and no line with --- alone closes it."
        return problem("front_matter_not_closed", message, line=1, column=1, expected="---")
    block = text[opener.end() : max(closer.start() + 1, opener.end())]
    if not block or block.isspace():
        return problem("empty_front_matter", "The front matter is empty.", line=1, column=1, expected="fields")
    return FrontMatter(block, 2, text[closer.end() :])


def _no_opener(text: str) -> Problem:
    """Return the problem that says what the document begins with instead of `---`."""
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
    """Return the line and column (from 1) of the character after `before`."""
    lines = before.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return lines.count("\n") + 1, len(lines) - (lines.rfind("\n") + 1) + 1


def secured_line(raw: bytes) -> tuple[int, int] | None:
    """Return the start and end (in bytes) of the value of `secured`, or None if no line looks like it.

    It is the last line that begins with the field's name, found by text search. So its place (`place_of_secured`) must
    be compared with the parser's: the line may also belong to another value or to the body.
    """
    at = raw.rfind(_SECURED_NAME)
    value = _SECURED.match(raw, at + len(_SECURED_NAME)) if at >= 0 else None
    return value.span() if value else None


def place_of_secured(raw: bytes, span: tuple[int, int]) -> tuple[int, int]:
    """Return the line and column (from 1) of the quote before `span`, a result of `secured_line`."""
    start = span[0]
    breaks_alone = raw.count(b"\r", 0, start) - raw.count(b"\r\n", 0, start) if b"\r" in raw else 0
    return raw.count(b"\n", 0, start) + breaks_alone + 1, len(_SECURED_NAME) - 1


def without_secured(problems: Sequence[Problem], matter: FrontMatter) -> list[Problem]:
    """Return the problems without what they quote of the value of `secured`, also where its name is misspelt.

    A problem of YAML's syntax has no field. It belongs to the last line before it that begins with a name; if the text from
    there to the problem has a name like `secured`, it may quote the value.
    """
    starts, owners = list[int](), list[int]()
    if any(one.field is None for one in problems):
        starts = [0, *(found.end() for found in _BREAK.finditer(matter.text))]
        owners = [start for start in starts if matter.text[start : start + 1].strip(" \t:\r\n")]
    return [_masked(one) if _is_of_secured(one, matter, starts, owners) else one for one in problems]


def _is_of_secured(one: Problem, matter: FrontMatter, starts: Sequence[int], owners: Sequence[int]) -> bool:
    if one.field is not None:
        return SECURED_NAME.search(one.field) is not None
    row = (one.line or 0) - matter.first_line
    if not 0 <= row < len(starts):
        return False
    at = starts[row] + (one.column or 1) - 1
    owner = owners[bisect_right(owners, at) - 1] if owners else 0
    return SECURED_NAME.search(matter.text, owner, at) is not None


def _masked(one: Problem) -> Problem:
    message = one.message if one.expected == "secured" else CODES[one.code].message
    value = MASKED if one.value is not None else None
    return one.model_copy(update={"message": message, "value": value, "field": one.field or "secured"})


def fingerprint(raw: bytes, limits: Limits = DEFAULT) -> bytes:
    """Return a digest (16 bytes) of the document without its `secured` value, which identifies equal documents.

    Compare it only with a stored digest that came from `Reading.fingerprint`. The parser has then confirmed that the
    omitted bytes are the value of the top-level `secured`, so another base64 text there cannot change the meaning of
    the rest.
    """
    return digest_without(raw, secured_line(raw) if len(raw) <= limits.max_bytes else None)


def digest_without(raw: bytes, span: tuple[int, int] | None) -> bytes:
    """Return a digest (16 bytes) of `raw` without the bytes in `span`; of all bytes if `span` is None."""
    if span is None:
        return blake2b(raw, digest_size=16, person=b"whole").digest()
    digest = blake2b(raw[: span[0]], digest_size=16, person=b"unsecured")
    digest.update(b"\0")  # marks the place of the value; no base64 text contains it
    digest.update(raw[span[1] :])
    return digest.digest()
