"""The JSON Schema of each type of value as documents write it: as text, or with its type in YAML 1.2.

A worker reads scalars as text, so `quality: 34` and `quality: "34"` are equal to it, and so are they here. Each schema
is valid where the reader in `schemas.values` or `schemas.amounts` returns a value without a warning.
"""

from __future__ import annotations

from typing import TypeAlias

from schemas.amounts import DURATION_PATTERN, MAX_NUMBER, Duration, Number
from schemas.forms.patterns import IMAGE_URL_PATTERN, URL_PATTERN, ZONED_TIME_PATTERN
from schemas.values import (
    MAX_INTEGER,
    MAX_LABEL,
    MAX_TITLE,
    MAX_URL_BYTES,
    MIN_INTEGER,
    Boolean,
    ImageUrl,
    Integer,
    Label,
    Text,
    Timestamp,
    Title,
    WebUrl,
)

Schema: TypeAlias = "dict[str, object]"

MAX_ITEMS, MAX_KEY_LENGTH, MAX_SCALAR = 1_000, 200, 262_144
"""Entries of a list, characters of a field's name and of a value (`worker.documents.limits`)."""


def by_type(*, string: Schema | None = None, array: Schema | None = None, object_: Schema | None = None) -> Schema:
    """Return the schema of any value that requires something of texts, lists and mappings only."""
    kinds: tuple[tuple[str, Schema], ...] = (
        ("string", string or {}),
        ("array", array or {}),
        ("object", object_ or {}),
        ("number", {}),
        ("boolean", {}),
        ("null", {}),
    )
    return {"anyOf": [{"type": name, **rules} for name, rules in kinds]}


def _text(rules: Schema) -> Schema:
    return {"anyOf": [{"type": "string", **rules}, {"type": "number"}, {"type": "boolean"}]}


SPACE = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space as Python has it, to be put in brackets: in regular expressions `\\s` means something else in each
language."""
CONTROLS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufdd0-\ufdef"
"""Characters that are removed from all text with a warning."""
_JOINERS = r"\u200c\u200d"
_DIRECTION_MARKS = r"\u061c\u200e\u200f"
_TAGS = "\U000e0020-\U000e007f"
_FLAG = "\U0001f3f4"
INVISIBLE = (
    r"\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb" + f"\U000e0001{_TAGS}"
)
"""Characters that are removed from labels and titles, except where the writing of a script needs them."""
_UNJOINED = r"\u0000-\u058f\u1e00-\u1fff\u2c00-\u2dff\u3000-\ud7ff\uff00-\uffef"
_SPACELESS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\uaa60-\uaa7f"
_RIGHT_TO_LEFT = r"\u0590-\u065f\u066d-\u06ef\u06fa-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefe" + (
    "\U00010800-\U00010fff\U0001e800-\U0001efff"
)
_WRITTEN = (
    rf"[^{INVISIBLE}]|(?<=[^{_UNJOINED}{INVISIBLE}])[{_JOINERS}]|(?<=[{_SPACELESS}])\u200b(?=[{_SPACELESS}])"
    rf"|{_FLAG}[{_TAGS}]+"
)
_LABEL_PATTERN = rf"^(?:(?:{_WRITTEN})*|(?=[^]*[{_RIGHT_TO_LEFT}])(?:{_WRITTEN}|[{_DIRECTION_MARKS}])*)$".replace(
    "[^]", r"[\s\S]"
)
VISIBLE_PATTERN = rf"[^{SPACE}{CONTROLS}{INVISIBLE}]"
"""A text that is not empty when it is cleaned."""

SHORT_TEXT: Schema = {
    "description": "Text without invisible characters, except where the writing of a script needs them.",
    **by_type(
        string={"pattern": _LABEL_PATTERN},
        array={"items": by_type(string={"pattern": _LABEL_PATTERN})},
    ),
}
"""What is required of the fields `SHORT_TEXTS`, which are texts or lists of texts."""

_INTEGER_PATTERN = (
    rf"^[{SPACE}]*(?=[+-]?[0-9]{{1,20}}(?:[.{SPACE}]|$))(?:[+-]?0*(?:[0-9]{{1,9}}|1[0-9]{{9}}|20[0-9]{{8}}"
    r"|21[0-3][0-9]{7}|214[0-6][0-9]{6}|2147[0-3][0-9]{5}|21474[0-7][0-9]{4}|214748[0-2][0-9]{3}|2147483[0-5][0-9]{2}"
    rf"|21474836[0-3][0-9]|214748364[0-7])|-0*2147483648)(?:\.0{{1,3}})?[{SPACE}]*$"
)
_NUMBER_PATTERN = rf"^[{SPACE}]*[+-]?[0-9]{{1,15}}(?:\.[0-9]{{1,15}})?[{SPACE}]*$"
_BOOLEAN_PATTERN = (
    rf"^[{SPACE}]*(?:true|True|TRUE|yes|Yes|YES|on|On|ON|false|False|FALSE|no|No|NO|off|Off|OFF)[{SPACE}]*$"
)
_URL_EDGE = rf"[{SPACE}\ufeff\u200b]*"
_URL_SPACES = r"\u0020\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
_UNESCAPED_URL_PATTERN = rf"^{_URL_EDGE}[^{_URL_SPACES}{SPACE}]*{_URL_EDGE}$"


def _url(pattern: str, description: str, example: str) -> Schema:
    return {
        "type": "string",
        "pattern": pattern.replace(r"^\s*", f"^{_URL_EDGE}").replace(r"\s*$", f"{_URL_EDGE}$"),
        "maxLength": MAX_URL_BYTES,
        "description": description,
        "examples": [example],
    }


def _short_text(limit: int) -> Schema:
    return {"description": f"Text of at most {limit:,} characters.", **_text({"maxLength": limit})}


def _without_spaces(url: Schema) -> Schema:
    return {**url, "allOf": [{"pattern": _UNESCAPED_URL_PATTERN}]}


ACCEPTED_URL = _url(
    URL_PATTERN,
    "The whole address of a page on the web, without user name or password.",
    "https://news.example/story",
)
"""A URL that can identify an article. Spaces in it are escaped, with a warning."""

VALUES: tuple[tuple[object, str, Schema], ...] = (
    (Text, "Text", {"description": "Text.", **_text({})}),
    (
        Label,
        "Label",
        _short_text(MAX_LABEL),
    ),
    (
        Title,
        "Title",
        _short_text(MAX_TITLE),
    ),
    (
        Integer,
        "Integer",
        {
            "description": "A whole number of 32 bits.",
            "anyOf": [
                {"type": "integer", "minimum": MIN_INTEGER, "maximum": MAX_INTEGER},
                {"type": "string", "pattern": _INTEGER_PATTERN},
            ],
        },
    ),
    (
        Number,
        "Number",
        {
            "description": "A number.",
            "anyOf": [
                {"type": "number", "exclusiveMinimum": -MAX_NUMBER, "exclusiveMaximum": MAX_NUMBER},
                {"type": "string", "pattern": _NUMBER_PATTERN},
            ],
        },
    ),
    (
        Boolean,
        "Boolean",
        {
            "description": "true or false.",
            "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _BOOLEAN_PATTERN}],
        },
    ),
    (
        Timestamp,
        "Timestamp",
        {
            "type": "string",
            "pattern": ZONED_TIME_PATTERN,
            "maxLength": 64,
            "description": "A time in ISO 8601 or RFC 2822 with its zone, from 1900 to 2100.",
            "examples": ["2020-05-29T22:57:00Z"],
        },
    ),
    (
        Duration,
        "Duration",
        {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "description": "A duration: ISO 8601, h:mm, or numbers with units.",
            "examples": ["PT44M", "16 hours"],
        },
    ),
    (WebUrl, "WebUrl", _without_spaces(ACCEPTED_URL)),
    (
        ImageUrl,
        "ImageUrl",
        _without_spaces(
            _url(
                IMAGE_URL_PATTERN,
                "The whole address of a picture. A path (/…) on the sender's own site is kept as written.",
                "https://static.news.example/1.jpg",
            )
        ),
    ),
)
"""The types of values: (type, its name in the published schemas, its schema)."""


__all__ = [
    "ACCEPTED_URL",
    "CONTROLS",
    "INVISIBLE",
    "MAX_ITEMS",
    "MAX_KEY_LENGTH",
    "MAX_SCALAR",
    "SHORT_TEXT",
    "SPACE",
    "VALUES",
    "VISIBLE_PATTERN",
    "Schema",
    "by_type",
]
