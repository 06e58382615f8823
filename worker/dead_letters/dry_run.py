"""The result of a dry run: what an action on many documents would do, or has done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Advance = Callable[[int], None]
"""Takes how many dead letters or documents are done so far."""


@dataclass(slots=True)
class DryRun:
    """Counts of documents or dead letters. Each action sets those that apply to it."""

    seen: int = 0
    passing: int = 0
    """How many would be accepted."""
    failing: Counter[str] = field(default_factory=Counter)
    """Reason (mostly a problem's code) → how many would be rejected."""
    untried: int = 0
    """How many were not read, because the worker failed on them before (`WORKER_CODES`)."""
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


def last_of(steps: Iterator[DryRun], advance: Advance) -> DryRun:
    """Run all steps; return the counts of the last one. There is one at least."""
    done = DryRun()
    for done in steps:
        advance(done.seen)
    return done
