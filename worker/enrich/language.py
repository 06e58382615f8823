"""The language of an article."""

from __future__ import annotations

import re

_PRIMARY = re.compile(r"[a-z]{2,3}")


def language_of(locale: str | None) -> str | None:
    """The primary subtag of a stated locale (BCP 47: `en-US` → `en`, also written `en_US`), or None."""
    primary = (locale or "").strip().lower().replace("_", "-").partition("-")[0]
    return primary if _PRIMARY.fullmatch(primary) else None
