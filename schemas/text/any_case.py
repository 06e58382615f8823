"""Patterns for text in any case, because JSON Schema has no flag for this."""

from __future__ import annotations

import re


def in_any_case(pattern: str) -> str:
    """Return `pattern` for its ASCII letters in either case. It must have no escape that is a letter, like `\\s`."""
    return re.sub(r"[A-Za-z]", lambda found: f"[{found[0].upper()}{found[0].lower()}]", pattern)
