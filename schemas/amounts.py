"""Durations, prices and numbers: the text of a document and its parsed value.

Documents write durations and prices in many ways (`PT44M`, `16 hours`, `1h 46m`; `Free+`, `$25.20`, `$$`). The text is
always kept. If it cannot be parsed, only the parsed value is missing.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from schemas.text.any_case import in_any_case
from schemas.values import MAX_INTEGER, Assumption, Context

_UNITS = {
    "year": 31_536_000,
    "month": 2_592_000,
    "week": 604_800,
    "day": 86_400,
    "hour": 3600,
    "minute": 60,
    "second": 1,
}
"""Seconds of each unit, from long to short. A month counts 30 days and a year 365, because such lengths are estimates
anyway (`2 Months`)."""
_SHORT = {
    "year": "y yr",
    "month": "mo",
    "week": "w wk",
    "day": "d",
    "hour": "h hr",
    "minute": "m min",
    "second": "s sec",
}
_WORDS = {word: name for name in _UNITS for word in (name, *_SHORT[name].split())}
_NUMBER = r"([0-9]{1,6}(?:[.,][0-9]{1,3})?)"
_ISO = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_CLOCK = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,3}):([0-9]{1,2})")
_SEPARATOR = r"(?:\s*(?:,|and)?\s+|(?=[0-9])|$)"
_PART = re.compile(rf"{_NUMBER}\s*([a-z]+?)s?\.?{_SEPARATOR}")
_MAX_TEXT = 64  # characters of a duration


_AMOUNT_OF_TIME = r"[0-9]{1,6}(?:[.,][0-9]{1,3})?"
_ANY_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_ISO_DATE, _ISO_TIME = ("".join(f"(?:{_AMOUNT_OF_TIME}{unit})?" for unit in units) for units in ("YMWD", "HMS"))
_ISO_FORM = f"P(?=[^0-9]*[0-9]){_ISO_DATE}(?:T{_ISO_TIME})?"
_PARTS_FORM = (
    in_any_case(rf"(?:{_AMOUNT_OF_TIME}[ ]*(?:{_ANY_WORD})s?\.?(?:[ ]*(?:,|and)?[ ]+(?=[^ ])|(?=[0-9])|(?=[ ]*$)))+")
    .replace("[ ]", r"\s")
    .replace("[^ ]", r"\S")
)
DURATION_PATTERN = (
    rf"^\s*(?=\S[\s\S]{{0,{_MAX_TEXT - 1}}}\s*$)(?:{in_any_case(_ISO_FORM)}|(?:[0-9]{{1,3}}:)?[0-9]{{1,3}}:[0-9]{{1,2}}"
    rf"|{_PARTS_FORM})\s*$"
)
"""The durations that `seconds_of` reads, except that it also refuses those beyond 68 years."""

_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
"""The ISO 4217 code of each symbol. `$` is read as US dollars, because all real prices with it are of shops in the
United States."""
MAX_NUMBER = 10**15  # largest absolute value of a number; a text may have 15 digits before the decimal point
_AMOUNT = r"([0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,2})?|[0-9]{1,9}(?:\.[0-9]{1,2})?)"
_PRICE = re.compile(rf"(?:([A-Z]{{3}})\s*|([$€£¥₹])\s*){_AMOUNT}|{_AMOUNT}\s*(?:([A-Z]{{3}})|([€£]))")


def seconds_of(text: str) -> int | None:
    """Return the seconds of an ISO 8601 duration (5.5.2.1), of `h:mm:ss`, or of numbers with units.

    Returns None if the text has none of these forms or is longer than 64 characters.
    """
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    if iso := _ISO.fullmatch(text.upper()):
        amounts = [(amount, unit) for amount, unit in zip(iso.groups(), _UNITS, strict=True) if amount]
    elif clock := _CLOCK.fullmatch(text):
        amounts = [(amount or "0", unit) for amount, unit in zip(clock.groups(), list(_UNITS)[-3:], strict=True)]
    else:
        amounts = _amounts_with_units(text.lower())
    seconds = sum(float(amount.replace(",", ".")) * _UNITS[unit] for amount, unit in amounts)
    return round(seconds) if amounts and seconds <= MAX_INTEGER else None


def _amounts_with_units(text: str) -> list[tuple[str, str]]:
    """Return the (amount, unit) pairs of a text such as `1h 46m`; an empty list if it contains anything else."""
    amounts, position = [], 0
    while position < len(text):
        part = _PART.match(text, position)
        unit = _WORDS.get(part[2]) if part else None
        if part is None or unit is None:
            return []
        amounts.append((part[1], unit))
        position = part.end()
    return amounts


class Price(NamedTuple):
    """A parsed price: an amount and its currency (ISO 4217). What is free has the amount 0 and no currency."""

    amount: float
    currency: str | None


def price_of(text: str) -> Price | None:
    """Return the price that a text states, or None if it states none (`$$`).

    `Free` has the amount 0, and so has `Free+` (free, with paid extras).
    """
    text = text.strip()
    if text.lower() in ("free", "free+"):
        return Price(0.0, None)
    match = _PRICE.fullmatch(text) if len(text) <= 32 else None
    if match is None:
        return None
    code, symbol, amount, amount_after, code_after, symbol_after = match.groups()
    currency = code or code_after or _CURRENCIES[symbol or symbol_after]
    return Price(float((amount or amount_after).replace(",", "")), currency)


def read_duration(value: object, info: ValidationInfo) -> str:
    """Return the text. Add the note `bad_duration` to the context if it is not a duration that can be parsed.

    Raises PydanticCustomError (`wrong_shape`) if the value is not a text.
    """
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_shape", "a duration belongs here", {"expected": "a duration such as PT44M"})
    if seconds_of(value) is None and isinstance(info.context, Context):
        info.context.notes.append(Assumption("bad_duration", value))
    return value


def read_number(value: object) -> float:
    """Return a decimal number of at most `MAX_NUMBER`. NaN and infinity are refused, because JSON cannot hold them.

    Raises PydanticCustomError (`bad_number` or `wrong_shape`).
    """
    expected = {"expected": "a number such as 4.5"}
    if isinstance(value, str):
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?\s*", value):
            raise PydanticCustomError("bad_number", "this is not a number", expected)
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not -MAX_NUMBER <= value <= MAX_NUMBER:  # true for NaN as well
            raise PydanticCustomError("bad_number", "this number is too large to keep", expected)
        return float(value)
    raise PydanticCustomError("wrong_shape", "a number belongs here", expected)


Duration = Annotated[str, PlainValidator(read_duration)]
Number = Annotated[float, PlainValidator(read_number)]

__all__ = ["DURATION_PATTERN", "Duration", "Number", "Price", "price_of", "seconds_of"]
