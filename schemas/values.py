"""The types of values in a document: text, integer, boolean, time, URL and topic, and how each is parsed.

The input is the text of the document, or a value that a model of this package dumped (an integer, a boolean, a time in
ISO 8601). A value of another type raises `PydanticCustomError` with a problem code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, NoReturn

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.patterns import IMAGE_URL_PATTERN, TIME_PATTERN, URL_PATTERN
from schemas.urls import escape_spaces, is_usual, url_fault

MAX_URL_BYTES = 2048  # the longest URL in 22,000 real documents has 450 bytes; a PostgreSQL index entry holds 2,704
MAX_TOPIC = 200  # characters; the longest real one has 27, and the case-folded name must fit into a PostgreSQL index
MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1  # an SQL integer column
MIN_YEAR, MAX_YEAR = 1900, 2100

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}(?:\.0{1,3})?", re.ASCII)
_TIME_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_TIME = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:(?:[Tt]|[ \t]+)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"[ \t]*(?P<zone>[Zz]|UTC|GMT|(?P<sign>[+-])(?P<off_hour>[0-9]{1,2})(?::?(?P<off_minute>[0-9]{2}))?)?)?",
    re.ASCII,
)
_RELATIVE = re.compile(r"//?[^/\\\s]")
_TRUE = frozenset(word for low in ("true", "yes", "on") for word in (low, low.capitalize(), low.upper()))
_FALSE = frozenset(word for low in ("false", "no", "off") for word in (low, low.capitalize(), low.upper()))


@dataclass(slots=True)
class Context:
    """The parameters of a validation and the notes that it makes. Pass it as pydantic's `context=`."""

    max_url_bytes: int = MAX_URL_BYTES
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(code of a warning, the string object that was read with an assumption). Callers find the value by `id()`."""


def _refuse(code: str, message: str, expected: str) -> NoReturn:
    raise PydanticCustomError(code, message, {"expected": expected})


def read_integer(value: object) -> int:
    """Return the integer that decimal digits with an optional sign mean. Nothing is read as octal or rounded.

    Raises PydanticCustomError (`bad_integer`, `integer_out_of_range` or `wrong_shape`).
    """
    if type(value) is str and len(value) < 10 and value.isdigit() and value.isascii():
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 24 or not _INTEGER.fullmatch(text):
            _refuse("bad_integer", "this is not a whole number", "a whole number such as 34")
        number = int(text.partition(".")[0])
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        _refuse("wrong_shape", "a whole number belongs here", "a whole number such as 34")
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        _refuse("integer_out_of_range", "this number is too large to keep", f"{MIN_INTEGER} to {MAX_INTEGER}")
    return number


def read_boolean(value: object) -> bool:
    """Return the boolean that a word of YAML 1.1 means (true, yes, on, …). 0 and 1 are not booleans.

    Raises PydanticCustomError (`bad_boolean` or `wrong_shape`).
    """
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        _refuse("wrong_shape", "true or false belongs here", "true or false")
    word = value.strip()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    _refuse("bad_boolean", "this is neither true nor false", "true or false")


def _sane(moment: datetime) -> datetime:
    if not MIN_YEAR <= moment.year <= MAX_YEAR:
        _refuse("time_out_of_range", "no article was published in this year", f"a year from {MIN_YEAR} to {MAX_YEAR}")
    return moment


def _build_time(match: re.Match[str]) -> datetime:
    part = match.groupdict()
    year = int(part["year"])
    if not MIN_YEAR - 1 <= year <= MAX_YEAR + 1:  # the UTC offset may still move it into the next or previous year
        _refuse("time_out_of_range", "no article was published in this year", f"a year from {MIN_YEAR} to {MAX_YEAR}")
    zone: timezone = UTC
    if part["sign"]:
        offset = timedelta(hours=int(part["off_hour"]), minutes=int(part["off_minute"] or 0))
        if int(part["off_minute"] or 0) > 59 or offset > timedelta(hours=14):
            raise ValueError("no place on earth has this offset")
        zone = timezone(-offset if part["sign"] == "-" else offset)
    fraction = int((part["fraction"] or "0")[:6].ljust(6, "0"))
    moment = datetime(
        year, int(part["month"]), int(part["day"]),
        int(part["hour"] or 0), int(part["minute"] or 0), int(part["second"] or 0), fraction, zone,
    )  # fmt: skip
    return moment.astimezone(UTC)


def read_time(value: object, info: ValidationInfo) -> datetime:
    """Return a time in ISO 8601 or in YAML's form as UTC. Digits alone are not a time.

    A time without a zone is read as UTC, with the note `time_without_zone`. Raises PydanticCustomError (`bad_time`,
    `time_out_of_range` or `wrong_shape`).
    """
    expected = "a time such as 2020-05-29T22:57:00Z"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _sane(value.astimezone(UTC))
    if not isinstance(value, str):
        _refuse("wrong_shape", "a time belongs here", expected)
    usual = _TIME_USUAL.fullmatch(value)
    match = usual or (_TIME.fullmatch(text) if len(text := value.strip()) <= 64 else None)
    if match is None:
        _refuse("bad_time", "this is not a time in ISO 8601", expected)
    try:
        moment = datetime.fromisoformat(value) if usual else _build_time(match)
    except PydanticCustomError:  # a subclass of ValueError that already has a problem code
        raise
    except ValueError as error:
        reason = str(error).replace("{", "(").replace("}", ")")
        _refuse("bad_time", f"there is no such time: {reason}", expected)
    if not usual and match["zone"] is None and isinstance(info.context, Context):
        info.context.notes.append(("time_without_zone", value))
    return _sane(moment)


def read_url(value: object, info: ValidationInfo) -> str:
    """Return an absolute URL without surrounding white space, otherwise as written.

    Spaces in it become `%20`, with the note `url_with_space`. Raises PydanticCustomError (`bad_url`, `url_too_long` or
    `wrong_shape`).
    """
    limit = info.context.max_url_bytes if isinstance(info.context, Context) else MAX_URL_BYTES
    if type(value) is str and len(value) <= limit and is_usual(value):
        return value
    if not isinstance(value, str):
        _refuse("wrong_shape", "a URL belongs here", "a URL such as https://news.example/story")
    url = value.strip().strip("\ufeff\u200b").strip()
    if len(url) > limit or len(url.encode("utf-8", "replace")) > limit:
        _refuse("url_too_long", "this URL is too long", f"at most {limit} bytes")
    fault = url_fault(url)
    if fault is not None and " " in url and url_fault(escaped := escape_spaces(url)) is None:
        if isinstance(info.context, Context):
            info.context.notes.append(("url_with_space", value))
        return escaped
    if fault is not None:
        _refuse("bad_url", fault, "a URL such as https://news.example/story")
    return url


def read_image_url(value: object, info: ValidationInfo) -> str:
    """Return an absolute URL, or one relative to the article's page (`/assets/1.jpg`, `//cdn.example/1.jpg`).

    Raises the errors of `read_url`.
    """
    if isinstance(value, str) and not value.startswith("http") and _RELATIVE.match(value.strip()):
        url = value.strip().replace(" ", "%20")
        if url_fault(f"https://page.example{url}" if url[:2] != "//" else f"https:{url}") is None:
            return url if len(url.encode("utf-8", "replace")) <= MAX_URL_BYTES else read_url(f"https:{url}", info)
    return read_url(value, info)


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        _refuse("wrong_shape", "text belongs here", "text")
    return value


def read_topic(value: object) -> str:
    """Return a topic's name. Its length is limited, because the store indexes it.

    Raises PydanticCustomError (`value_too_long` or `wrong_shape`).
    """
    text = _read_text(value)
    if len(text) > MAX_TOPIC:
        _refuse("value_too_long", "this is too long for the name of a topic", f"at most {MAX_TOPIC} characters")
    return text


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


Text = Annotated[str, PlainValidator(_read_text), WithJsonSchema({"type": "string"})]
Topic = Annotated[str, PlainValidator(read_topic), WithJsonSchema({"type": "string", "maxLength": MAX_TOPIC})]
Integer = Annotated[
    int,
    PlainValidator(read_integer),
    WithJsonSchema({"type": "integer", "minimum": MIN_INTEGER, "maximum": MAX_INTEGER}),
]
Boolean = Annotated[bool, PlainValidator(read_boolean), WithJsonSchema({"type": "boolean"})]
Timestamp = Annotated[
    datetime,
    PlainValidator(read_time),
    PlainSerializer(_iso, return_type=str, when_used="json"),
    WithJsonSchema({
        "type": "string", "pattern": TIME_PATTERN, "maxLength": 64, "examples": ["2020-05-29T22:57:00Z"],
        "description": "A time in ISO 8601, from 1900 to 2100; without a zone it is read as UTC.",
    }),
]  # fmt: skip
WebUrl = Annotated[
    str,
    PlainValidator(read_url),
    WithJsonSchema({
        "type": "string", "pattern": URL_PATTERN, "maxLength": MAX_URL_BYTES, "examples": ["https://news.example/story"],
        "description": "The whole address of a page on the web, without user name or password.",
    }),
]  # fmt: skip

ImageUrl = Annotated[
    str,
    PlainValidator(read_image_url),
    WithJsonSchema({
        "type": "string", "pattern": IMAGE_URL_PATTERN, "maxLength": MAX_URL_BYTES, "examples": ["/assets/1.jpg"],
        "description": "The address of a picture: whole, or read against the page of the article (/… or //host/…).",
    }),
]  # fmt: skip

__all__ = ["Boolean", "Context", "ImageUrl", "Integer", "Text", "Timestamp", "Topic", "WebUrl"]
