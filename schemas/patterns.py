"""Patterns for times and URLs in the JSON Schemas: the rules of `schemas.values` as portable regular expressions.

The patterns are exact except for rules that a regular expression cannot express well. The worker decides these:
details of IPv6 addresses and of international host names, the total length of a host, the length of a URL in bytes (the
schema counts characters), and times that their UTC offset moves across the limits of 1900 and 2100.
"""

from __future__ import annotations

_YEAR = r"(?:19[0-9]{2}|20[0-9]{2}|2100)"
_LEAP_YEAR = r"(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)"
_DAY_31 = r"(?:0?[1-9]|[12][0-9]|3[01])"
_DAY_30 = r"(?:0?[1-9]|[12][0-9]|30)"
_DAY_28 = r"(?:0?[1-9]|1[0-9]|2[0-8])"
_DATE = rf"(?:{_YEAR}-(?:(?:0?[13578]|1[02])-{_DAY_31}|(?:0?[469]|11)-{_DAY_30}|0?2-{_DAY_28})|{_LEAP_YEAR}-0?2-29)"
_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
_ZONE = r"[ \t]*(?:[Zz]|UTC|GMT|[+-](?:(?:0?[0-9]|1[0-3])(?::?[0-5][0-9])?|14(?::?00)?))"
TIME_PATTERN = rf"^\s*{_DATE}(?:(?:[Tt]|[ \t]+){_CLOCK}(?:{_ZONE})?)?\s*$"

_SEEN = r"[^\s\u0000-\u001f\u007f-\u009f\ufffd]"
_LABEL = r"(?!-)[A-Za-z0-9_\u00a1-\uffff-]{0,62}[A-Za-z0-9_\u00a1-\uffff]"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HOST = rf"(?:(?:{_BYTE}\.){{3}}{_BYTE}|(?:{_LABEL}\.)+(?![0-9]+(?:[.:/?#\s]|$)){_LABEL})\.?"
_PORT = r"(?!0+(?:[/?#\s]|$))(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_AUTHORITY = rf"(?:\[[0-9A-Fa-f:.]+\]|{_HOST})(?::(?:{_PORT})?)?"
_REST = rf"(?:[?#](?:(?!/){_SEEN})*)?(?:/(?: |{_SEEN})*)?"
_ABSOLUTE = rf"[Hh][Tt][Tt][Pp][Ss]?://{_AUTHORITY}{_REST}"
URL_PATTERN = rf"^\s*{_ABSOLUTE}\s*$"
_WITHOUT_SCHEME = rf"//{_AUTHORITY}(?:[/?#](?: |{_SEEN})*)?"
_WITHOUT_HOST = rf"/(?![/\\]){_SEEN}(?: |{_SEEN})*"
IMAGE_URL_PATTERN = rf"^\s*(?:{_ABSOLUTE}|{_WITHOUT_SCHEME}|{_WITHOUT_HOST})\s*$"
