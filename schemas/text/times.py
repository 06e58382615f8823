"""Read a time: ISO 8601 (also in its basic form), YAML's form, and RFC 2822, which every RSS feed uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import NamedTuple

_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The name of a zone in brackets or parentheses may follow an offset, which decides.
_ZONE = (
    r"(?:[ \t]*(?P<zone>[Zz]|UTC|GMT|UT|(?P<sign>[+-])(?P<off_hour>[0-9]{1,2})(?::?(?P<off_minute>[0-9]{2}))?)"
    r"(?:\[[A-Za-z0-9_/+-]{1,40}\]|[ \t]*\([A-Za-z ]{1,40}\))?)?"
)
_CLOCK = rf"(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)?{_ZONE}"
_FORMS = (
    re.compile(
        rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}})(?:(?:[Tt]|[ \t]+){_CLOCK})?", re.ASCII
    ),
    re.compile(
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[Tt]"
        rf"(?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}})(?:(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)?{_ZONE}",
        re.ASCII,
    ),
    re.compile(
        rf"(?:(?:{_DAYS}),?[ \t]+)?(?P<day>[0-9]{{1,2}})[ \t]+(?P<month>{'|'.join(MONTHS)})[ \t]+"
        rf"(?P<year>[0-9]{{4}}|[0-9]{{2}})[ \t]+{_CLOCK}",
        re.ASCII | re.IGNORECASE,
    ),
)
_UNSUPPORTED = (
    (re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?"), "digits alone could be a date or a number of seconds"),
    (
        re.compile(r"[0-9]{1,2}([/.-])[0-9]{1,2}\1[0-9]{2,4}\b.*"),
        "it does not say which number is the day and which the month",
    ),
    (re.compile(r"[0-9]{4}([/.])[0-9]{1,2}\1[0-9]{1,2}\b.*"), "the parts of the date are not joined by hyphens"),
    (
        re.compile(r".*[0-9][ \t]*\(?(?P<zone>[A-Z]{2,5}|[A-Z][a-z]+/[A-Za-z_/]+)\)?"),
        "{zone} is the name of a zone and not an offset",
    ),
)
"""Forms that are refused although people can read them, each with the cause."""


class Time(NamedTuple):
    """A time in UTC, and whether the text states its zone. Without one it is read as UTC."""

    moment: datetime
    has_zone: bool


def parse_time(text: str, years: range) -> Time:
    """Return the time that `text` states. `years`: those in which it can be built, before its year is checked.

    Raises ValueError with the cause if it states none, and OverflowError if its year is not in `years`.
    """
    match = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if match is None:
        raise ValueError(_cause(text))
    part = match.groupdict()
    year = _year(part["year"])
    if year not in years:
        raise OverflowError
    month = int(part["month"]) if part["month"].isdigit() else MONTHS.index(part["month"].title()) + 1
    return Time(_moment(date(year, month, int(part["day"])), part), part["zone"] is not None)


def _moment(day: date, part: dict[str, str]) -> datetime:
    """Return the time on `day` that the clock and the zone in `part` state, in UTC. 24:00 is the end of the day."""
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    fraction = int((part["fraction"] or "0")[:6].ljust(6, "0"))
    is_midnight = hour == 24 and not (minute or second or fraction)
    is_leap = second == 60
    clock = time(0 if is_midnight else hour, minute, 59 if is_leap else second, fraction, _zone(part))
    moment = datetime.combine(day, clock).astimezone(UTC)
    if is_leap and (moment.hour, moment.minute) != (23, 59):
        raise ValueError("a leap second is at 23:59:60 UTC")
    return moment + timedelta(days=is_midnight, seconds=is_leap)


def _year(digits: str) -> int:
    """Return the year. Two digits mean 1950 to 2049 (RFC 2822)."""
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year < 50 else 1900)


def _zone(part: Mapping[str, str | None]) -> timezone:
    if part["sign"] is None:
        return UTC
    offset = timedelta(hours=int(part["off_hour"] or 0), minutes=int(part["off_minute"] or 0))
    if int(part["off_minute"] or 0) > 59 or offset > timedelta(hours=14):
        raise ValueError("no place on earth has this offset")
    return timezone(-offset if part["sign"] == "-" else offset)


def _cause(text: str) -> str:
    for form, cause in _UNSUPPORTED:
        if (match := form.fullmatch(text)) is not None:
            return cause.format(**match.groupdict())
    return "only the usual forms of ISO 8601 and RFC 2822 are read"


__all__ = ["MONTHS", "Time", "parse_time"]
