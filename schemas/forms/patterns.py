"""Patterns for times and URLs in the JSON Schemas: the rules of `schemas.values` as portable regular expressions.

The patterns are exact except for rules that a regular expression cannot express well. The worker decides these:
details of IPv6 addresses and of international host names, the total length of a host, the length of a URL in bytes (the
schema counts characters), times that their UTC offset moves across the limits of 1900 and 2100, and whether a leap
second is at 23:59:60 UTC.
"""

from __future__ import annotations

from schemas.text.any_case import in_any_case

_YEAR = r"(?:19[0-9]{2}|20[0-9]{2}|2100)"
_LEAP_YEAR = r"(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)"
_DAY_31 = r"(?:0?[1-9]|[12][0-9]|3[01])"
_DAY_30 = r"(?:0?[1-9]|[12][0-9]|30)"
_DAY_28 = r"(?:0?[1-9]|1[0-9]|2[0-8])"
_DATE = rf"(?:{_YEAR}-(?:(?:0?[13578]|1[02])-{_DAY_31}|(?:0?[469]|11)-{_DAY_30}|0?2-{_DAY_28})|{_LEAP_YEAR}-0?2-29)"
_HOUR = r"(?:[01]?[0-9]|2[0-3])"
_FRACTION = r"(?:[.,][0-9]{1,9})?"
_NOUGHT = r"(?:[.,]0{1,9})?"
_CLOCK = rf"(?:{_HOUR}:[0-5][0-9](?::[0-5][0-9]{_FRACTION})?|{_HOUR}:[0-5]9:60{_FRACTION}|24:00(?::00{_NOUGHT})?)"
_ZONE = (
    r"[ \t]*(?:[Zz]|UTC|GMT|UT|[+-](?:(?:0?[0-9]|1[0-3])(?::?[0-5][0-9])?|14(?::?00)?))"
    r"(?:\[[A-Za-z0-9_/+-]{1,40}\]|[ \t]*\([A-Za-z ]{1,40}\))?"
)
_ISO = rf"{_DATE}(?:[Tt]|[ \t]+){_CLOCK}{_ZONE}"
_BASIC_DATE = (
    rf"(?:{_YEAR}(?:(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)"
    rf"|02(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}0229)"
)
_BASIC_CLOCK = (
    rf"(?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9]{_FRACTION})?|(?:[01][0-9]|2[0-3])[0-5]960{_FRACTION}"
    rf"|2400(?:00{_NOUGHT})?)"
)
_BASIC = rf"{_BASIC_DATE}[Tt]{_BASIC_CLOCK}{_ZONE}"


_GAP = r"[ \t]+"
_SHORT_YEAR = rf"(?:{_YEAR}|[0-9]{{2}})"
_MONTH_31, _MONTH_30, _FEBRUARY = map(in_any_case, ("Jan|Mar|May|Jul|Aug|Oct|Dec", "Apr|Jun|Sep|Nov", "Feb"))
_MAIL_ZONE = _ZONE.replace("UTC|GMT|UT", in_any_case("UTC|GMT|UT"))
_MAIL = (
    rf"(?:(?:{in_any_case('Mon|Tue|Wed|Thu|Fri|Sat|Sun')}),?{_GAP})?"
    rf"(?:(?:{_DAY_31}{_GAP}(?:{_MONTH_31})|{_DAY_30}{_GAP}(?:{_MONTH_30})|{_DAY_28}{_GAP}{_FEBRUARY}){_GAP}{_SHORT_YEAR}"
    rf"|29{_GAP}{_FEBRUARY}{_GAP}(?:{_LEAP_YEAR}|[02468][048]|[13579][26])){_GAP}{_CLOCK}{_MAIL_ZONE}"
)
ZONED_TIME_PATTERN = rf"^\s*(?:{_ISO}|{_BASIC}|{_MAIL})\s*$"
"""A time with its zone. A time without one is read with a warning."""

_SPACE = r"[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_SEEN = r"[^\s\u0000-\u001f\u007f-\u009f\ufffd]"
_LABEL = r"(?!-)[A-Za-z0-9_\u00a1-\uffff-]{0,62}[A-Za-z0-9_\u00a1-\uffff]"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HOST = rf"(?:(?:{_BYTE}\.){{3}}{_BYTE}|(?:{_LABEL}\.)+(?![0-9]+(?:[.:/?#\s]|$)){_LABEL})\.?"
_PORT = r"(?!0+(?:[/?#\s]|$))(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_AUTHORITY = rf"(?:\[[0-9A-Fa-f:.]+\]|{_HOST})(?::(?:{_PORT})?)?"
_REST = rf"(?:[/?#](?:{_SPACE}|{_SEEN})*)?"
_ABSOLUTE = rf"[Hh][Tt][Tt][Pp][Ss]?://{_AUTHORITY}{_REST}"
URL_PATTERN = rf"^\s*{_ABSOLUTE}\s*$"
_WITHOUT_SCHEME = rf"//{_AUTHORITY}{_REST}"
_WITHOUT_HOST = rf"/(?![/\\]){_SEEN}(?:{_SPACE}|{_SEEN})*"
IMAGE_URL_PATTERN = rf"^\s*(?:{_ABSOLUTE}|{_WITHOUT_SCHEME}|{_WITHOUT_HOST})\s*$"
