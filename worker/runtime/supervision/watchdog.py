"""Detects a stalled worker and chooses what to restart: first a part, then the process.

Decides only, from what `SupervisionLoop` observes at each heartbeat; `SupervisionLoop` carries it out.
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
class Observation:
    """What was observed at one heartbeat. Times are seconds of one monotonic clock."""

    now: float
    dispatcher_alive: bool
    dispatcher_step: float
    """When the dispatcher last made a step. Waiting for a server is a step too."""
    loop_ran_at: float
    """When Celery's event loop last ran its timer."""
    consuming: bool
    """Whether the dispatcher dispatches: no server is unreachable, not all lanes are paused."""
    queued: int
    """Claim checks on Celery's queue."""
    received: int
    """Claim checks that this worker has ever received."""
    busy: int
    """Batches in pool processes."""


@dataclass(slots=True)
class Watchdog:
    """Chooses what to restart. At the third restart of the same part within ten minutes it chooses the process."""

    timeout: float
    """Seconds without progress before something is restarted."""
    _waiting_since: float | None = None
    """Since when claim checks have waited while this worker took none; None if none wait."""
    _received: int = -1
    _remedies: dict[Remedy, list[float]] = field(default_factory=dict)

    def decide(self, observed: Observation) -> tuple[Remedy, str] | None:
        """Return the remedy and the reason as a sentence; None if all is well."""
        self._observe_consumer(observed)
        if not observed.dispatcher_alive:
            return self._remedy(Remedy.DISPATCHER, "the dispatcher's thread has ended", observed.now)
        still = observed.now - observed.dispatcher_step
        if still > self.timeout:
            return self._remedy(Remedy.DISPATCHER, f"the dispatcher has made no step for {still:.0f} s", observed.now)
        still = observed.now - observed.loop_ran_at
        if observed.consuming and still > self.timeout:
            # What blocks the event loop also blocks a restart of the consumer.
            return self._remedy(Remedy.PROCESS, f"Celery's event loop has not run for {still:.0f} s", observed.now)
        if self._waiting_since is not None and observed.now - self._waiting_since > self.timeout:
            waited, self._waiting_since = observed.now - self._waiting_since, None
            why = f"{observed.queued:,} claim checks wait and none was taken for {waited:.0f} s"
            return self._remedy(Remedy.CONSUMER, why, observed.now)
        return None

    def _observe_consumer(self, observed: Observation) -> None:
        idle = observed.consuming and observed.queued > 0 and observed.busy == 0 and observed.received == self._received
        self._received = observed.received
        if not idle:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = observed.now

    def _remedy(self, remedy: Remedy, why: str, now: float) -> tuple[Remedy, str]:
        before = [at for at in self._remedies.get(remedy, []) if now - at < 600]
        self._remedies[remedy] = [*before, now]
        return (Remedy.PROCESS if len(before) >= 2 else remedy), why
