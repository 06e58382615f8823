"""The types of values in a document: text, integer, boolean, time, URL and topic, and how each is parsed.

The input is the text of the document, or a value that a model of this package dumped (an integer, a boolean, a time in
ISO 8601). A value of another type raises `PydanticCustomError` with a problem code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, NoReturn

from pydantic import PlainSerializer, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from schemas.text.times import parse_time
from schemas.text.urls import escape_spaces, has_spaces, has_spaces_in_host, is_usual, url_fault

MAX_URL_BYTES = 2048  # the longest URL in 22,000 real documents has 450 bytes; a PostgreSQL index entry holds 2,704
MAX_LABEL = 200  # characters; the longest real topic has 27, and its case-folded name must fit into a PostgreSQL index
MAX_TITLE = 1000  # characters; the longest real one has 199
MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1  # an SQL integer column
MIN_YEAR, MAX_YEAR = 1900, 2100

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}(?:\.0{1,3})?", re.ASCII)
_TIME_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z", re.ASCII)
_RELATIVE = re.compile(r"//?[^/\\\s]")
_TRUE = frozenset(word for low in ("true", "yes", "on") for word in (low, low.capitalize(), low.upper()))
_FALSE = frozenset(word for low in ("false", "no", "off") for word in (low, low.capitalize(), low.upper()))
_REMOVED_IN_HOST = (
    "A URL's host contains invisible characters; they were removed. (After a host they are percent-encoded.)"
)


class Assumption(NamedTuple):
    """A value that was read with an assumption: the code of the warning, the string object, and a message if needed.

    Callers find the value in the document by its `id()`.
    """

    code: str
    value: str
    message: str | None = None


@dataclass(slots=True)
class Context:
    """The parameters of a validation and the notes that it makes. Pass it as pydantic's `context=`."""

    max_url_bytes: int = MAX_URL_BYTES
    notes: list[Assumption] = field(default_factory=list)


def _note(info: ValidationInfo, code: str, value: str, message: str | None = None) -> None:
    if isinstance(info.context, Context):
        info.context.notes.append(Assumption(code, value, message))


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


def _refuse_year() -> NoReturn:
    _refuse("time_out_of_range", "no article was published in this year", f"a year from {MIN_YEAR} to {MAX_YEAR}")


def _in_range(moment: datetime) -> datetime:
    if not MIN_YEAR <= moment.year <= MAX_YEAR:
        _refuse_year()
    return moment


def read_time(value: object, info: ValidationInfo) -> datetime:
    """Return a time in ISO 8601, in YAML's form or in RFC 2822 as UTC. Digits alone are not a time.

    A time without a zone is read as UTC, with the note `time_without_zone`. Raises PydanticCustomError (`bad_time`,
    `time_out_of_range` or `wrong_shape`).
    """
    expected = "a time such as 2020-05-29T22:57:00Z"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _in_range(value.astimezone(UTC))
    if not isinstance(value, str):
        _refuse("wrong_shape", "a time belongs here", expected)
    try:
        if _TIME_USUAL.fullmatch(value):
            return _in_range(datetime.fromisoformat(value))
        text = value.strip()
        if len(text) > 64:
            _refuse("bad_time", "this is too long for a time", expected)
        # The UTC offset may still move a time into the next or the previous year.
        time = parse_time(text, range(MIN_YEAR - 1, MAX_YEAR + 2))
    except PydanticCustomError:  # a subclass of ValueError that already has a problem code
        raise
    except OverflowError:
        _refuse_year()
    except ValueError as error:
        reason = str(error).replace("{", "(").replace("}", ")")
        _refuse("bad_time", f"this cannot be read as a time: {reason}", expected)
    if not time.has_zone:
        _note(info, "time_without_zone", value)
    return _in_range(time.moment)


def read_url(value: object, info: ValidationInfo) -> str:
    """Return an absolute URL without surrounding white space, otherwise as written.

    Spaces in it become `%20`, and other characters that nobody sees become their escapes, with the note
    `url_with_space`. Raises PydanticCustomError (`bad_url`, `url_too_long` or `wrong_shape`).
    """
    limit = info.context.max_url_bytes if isinstance(info.context, Context) else MAX_URL_BYTES
    if type(value) is str and len(value) <= limit and is_usual(value):
        return value
    if not isinstance(value, str):
        _refuse("wrong_shape", "a URL belongs here", "a URL such as https://news.example/story")
    url = _strip_url(value)
    if has_spaces(url) and url_fault(escaped := escape_spaces(url)) is None:
        _note(info, "url_with_space", value, _REMOVED_IN_HOST if has_spaces_in_host(url) else None)
        url = escaped
    if len(url) > limit or len(url.encode("utf-8", "replace")) > limit:
        _refuse("url_too_long", "this URL is too long", f"at most {limit} bytes")
    fault = url_fault(url)
    if fault is not None:
        _refuse("bad_url", fault, "a URL such as https://news.example/story")
    return url


def _strip_url(value: str) -> str:
    return value.strip().strip("\ufeff\u200b").strip()


def read_image_url(value: object, info: ValidationInfo) -> str:
    """Return an absolute URL, or one relative to the article's page (`/assets/1.jpg`, `//cdn.example/1.jpg`).

    Raises the errors of `read_url`.
    """
    if not isinstance(value, str) or value.startswith("http") or not _RELATIVE.match(_strip_url(value)):
        return read_url(value, info)
    url = _strip_url(value)
    scheme = "https://page.example" if url[:2] != "//" else "https:"
    escaped = escape_spaces(scheme + url).removeprefix(scheme)
    if url_fault(scheme + escaped) is not None or len(escaped.encode("utf-8", "replace")) > MAX_URL_BYTES:
        return read_url(value, info)
    if escaped != url:
        _note(info, "url_with_space", value)
    return escaped


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        _refuse("wrong_shape", "text belongs here", "text")
    return value


def _label_reader(max_length: int) -> Callable[[object], str]:
    """Return a function that reads a short text. It raises PydanticCustomError (`value_too_long` or `wrong_shape`)."""

    def read_label(value: object) -> str:
        text = _read_text(value)
        if len(text) > max_length:
            _refuse("value_too_long", "this is too long for its field", f"at most {max_length:,} characters")
        return text

    return read_label


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


Text = Annotated[str, PlainValidator(_read_text)]
Label = Annotated[str, PlainValidator(_label_reader(MAX_LABEL))]
Title = Annotated[str, PlainValidator(_label_reader(MAX_TITLE))]
Integer = Annotated[int, PlainValidator(read_integer)]
Boolean = Annotated[bool, PlainValidator(read_boolean)]
Timestamp = Annotated[datetime, PlainValidator(read_time), PlainSerializer(_iso, return_type=str, when_used="json")]
WebUrl = Annotated[str, PlainValidator(read_url)]
ImageUrl = Annotated[str, PlainValidator(read_image_url)]

__all__ = ["Assumption", "Boolean", "Context", "ImageUrl", "Integer", "Label", "Text", "Timestamp", "Title", "WebUrl"]
