"""Time spans as people read and write them: `4.0 min`, `6h`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,5}(?:\.\d{1,5})?)([mhdw])", re.ASCII)


def duration_text(seconds: float) -> str:
    """Format seconds as `12 s`, `4.0 min`, `2.5 h` or `3.1 d`, with a decimal below ten."""
    for limit, unit, divisor in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / divisor:.{int(seconds / divisor < 10)}f} {unit}"
    return f"{seconds / 86_400:,.1f} d"


def parse_time(text: str, now: datetime) -> datetime:
    """Parse `90m`, `6h`, `3d` or `2w` (that long before `now`), or an ISO 8601 day or time (UTC if it has no zone).

    Raises ValueError with a message for the user.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither like 6h, 3d or 2w nor a day or time like 2020-05-29") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
