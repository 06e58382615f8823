"""Problems of documents as data: each mistake has one stable code.

Codes are part of the public contract: crawlers branch on them and operators filter by them. They are defined only in
`CODES` (`schemas.codes`). The table in `schemas/README.md` is generated from it, and a test checks an example of each.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from schemas.codes import CODES, Code, Severity
from schemas.text.invisible_characters import name_of_character

_CREDENTIALS = re.compile(r"//[^/?#\s]*@")
_EXCERPT = 80  # characters of a value that a message shows
SECURED_NAME = re.compile(r"secur", re.IGNORECASE)
"""In a field's name: the field may be `secured`, perhaps misspelt."""
MASKED = "(masked)"


class Problem(BaseModel):
    """One problem with a document, as shown by `check`, `dead show`, the log and on `reply_to`.

    `field` is written `related[2].publishedDateTime`. `line` and `column` (in characters) count from 1 in the whole
    document, the opening `---` being line 1. `value` is a short masked excerpt, never the whole.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    severity: Severity
    message: str
    field: str | None = None
    line: int | None = None
    column: int | None = None
    expected: str | None = None
    value: str | None = None


def problem(
    code: str,
    message: str | None = None,
    *,
    field: str | None = None,
    line: int | None = None,
    column: int | None = None,
    expected: str | None = None,
    value: str | None = None,
) -> Problem:
    """Return a problem with the code's severity. Without `message` the message is the code's meaning.

    `message`, `field` and `value` are made printable, because they quote the document and go to stores and terminals.
    Raises KeyError if `code` is not in `CODES`.
    """
    listed = CODES[code]
    return Problem(
        code=code,
        severity=listed.severity,
        message=_printable(message) if message else listed.message,
        field=None if field is None else _printable(field),
        line=line,
        column=column,
        expected=expected,
        value=None if value is None else MASKED if expected == "secured" else excerpt(value, field),
    )


def excerpt(value: str, field: str | None = None) -> str:
    """Return at most 80 characters of `value`, without secrets and control characters.

    A value of `secured` is masked, and that of a field with a similar name.
    """
    if field is not None and SECURED_NAME.search(field):
        return MASKED
    shown = _CREDENTIALS.sub("//…@", value[: _EXCERPT * 4])
    shown = _printable(shown, " ")
    return shown if len(shown) <= _EXCERPT else shown[: _EXCERPT - 1] + "…"


def _printable(text: str, instead: str | None = None) -> str:
    """Return the text with each character that is not seen replaced by its name in `<>`, or by `instead`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else instead or f"<{name_of_character(c)}>" for c in text)


__all__ = ["CODES", "MASKED", "SECURED_NAME", "Code", "Problem", "Severity", "excerpt", "problem"]
