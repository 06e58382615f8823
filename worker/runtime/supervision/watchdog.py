"""Notices that nothing moves although something should, and what to restart: first a part, then the process.

Pure decisions over what the keeper sees at each beat; the keeper acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Remedy(StrEnum):
    """What to restart."""

    DISPATCHER = "dispatcher"
    CONSUMER = "consumer"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a beat found. Times in seconds of one monotonic clock."""

    now: float
    dispatcher_alive: bool
    dispatcher_step: float
    """When the dispatcher last did a step (any: waiting for a server is one)."""
    loop_turn: float
    """When Celery's event loop last turned."""
    consuming: bool
    """The dispatcher hands out: no server is away, nothing is paused."""
    queued: int
    """Claim checks on Celery's queue."""
    received: int
    """Claim checks that this worker ever received."""
    busy: int
    """Batches in pool processes."""


@dataclass(slots=True)
class Watchdog:
    """Says what to restart; the same part for the third time within ten minutes: the process."""

    timeout: float
    """Seconds without progress before anything is done."""
    _taken_at: float | None = None
    """Since when claim checks wait and this worker takes none."""
    _received: int = -1
    _remedies: dict[Remedy, list[float]] = field(default_factory=dict)

    def decide(self, seen: Seen) -> tuple[Remedy, str] | None:
        """The remedy and why, as a sentence; None: all is well."""
        self._note_consumer(seen)
        if not seen.dispatcher_alive:
            return self._remedy(Remedy.DISPATCHER, "the dispatcher's thread has ended", seen.now)
        still = seen.now - seen.dispatcher_step
        if still > self.timeout:
            return self._remedy(Remedy.DISPATCHER, f"the dispatcher has made no step for {still:.0f} s", seen.now)
        still = seen.now - seen.loop_turn
        if seen.consuming and still > self.timeout:
            # Whatever blocks the event loop blocks the restart of the consumer too.
            return self._remedy(Remedy.PROCESS, f"Celery's event loop has not turned for {still:.0f} s", seen.now)
        if self._taken_at is not None and seen.now - self._taken_at > self.timeout:
            waited, self._taken_at = seen.now - self._taken_at, None
            why = f"{seen.queued:,} claim checks wait and none was taken for {waited:.0f} s"
            return self._remedy(Remedy.CONSUMER, why, seen.now)
        return None

    def _note_consumer(self, seen: Seen) -> None:
        idle = seen.consuming and seen.queued > 0 and seen.busy == 0 and seen.received == self._received
        self._received = seen.received
        if not idle:
            self._taken_at = None
        elif self._taken_at is None:
            self._taken_at = seen.now

    def _remedy(self, remedy: Remedy, why: str, now: float) -> tuple[Remedy, str]:
        before = [at for at in self._remedies.get(remedy, []) if now - at < 600]
        self._remedies[remedy] = [*before, now]
        return (Remedy.PROCESS if len(before) >= 2 else remedy), why
