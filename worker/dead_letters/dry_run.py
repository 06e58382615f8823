"""What an action on many documents would do, or has done so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class DryRun:
    """Counts of documents or dead letters; each action fills in what it knows."""

    seen: int = 0
    passing: int = 0
    """They would be accepted."""
    failing: Counter[str] = field(default_factory=Counter)
    """Why (mostly a problem's code) → how many would be rejected."""
    changed: int = 0
    """Of those that pass: how many would be stored with other values."""
    fields: Counter[str] = field(default_factory=Counter)
    """Field → in how many documents it would change."""
    untouched: int = 0
    """Of those that fail: how many an edit does not touch."""
    example: tuple[int, bytes, bytes] | None = None
    """A dead letter that passes with an edit: its number, its bytes before and after."""
    sent: int = 0
    """How many were sent; none in a dry run."""
