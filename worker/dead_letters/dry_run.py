"""The result of a dry run: what an action on many documents would do, or has done so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class DryRun:
    """Counts of documents or dead letters. Each action sets those that apply to it."""

    seen: int = 0
    passing: int = 0
    """How many would be accepted."""
    failing: Counter[str] = field(default_factory=Counter)
    """Reason (mostly a problem's code) → how many would be rejected."""
    changed: int = 0
    """How many of the accepted ones would be stored with other values."""
    fields: Counter[str] = field(default_factory=Counter)
    """Field → in how many documents its value would change."""
    untouched: int = 0
    """How many of the rejected ones the edit leaves as they are."""
    example: tuple[int, bytes, bytes] | None = None
    """A dead letter that is accepted after the edit: its id, its bytes before and after."""
    sent: int = 0
    """How many were sent; 0 in a dry run."""
