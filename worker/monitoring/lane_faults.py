"""Sentences for operators about what is wrong with a lane, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from worker.activity.minute_counters import Minute
from worker.monitoring.status import LaneStatus
from worker.queue import keys


@dataclass(frozen=True, slots=True)
class StoreBehind:
    """A store that was restored from an older back-up: its highest id of a lane, and the highest that left the lane.

    The times are those of the ids, in ISO 8601.
    """

    stored: str | None
    stored_at: str | None
    left: str
    left_at: str


_OLD_SECONDS = 60.0


def standstill(lane: LaneStatus) -> str | None:
    """Return the sentence about a lane that stands still although it is served, or None."""
    if lane.lately_settled or (lane.oldest_seconds or 0) <= _OLD_SECONDS:
        return None
    return f"Lane {lane.lane} stands still: {lane.waiting:,} wait and none gets an outcome, see the log"


def lane_faults(lane: LaneStatus, behind: StoreBehind | None = None) -> list[str]:
    """Return a sentence for each fault of a lane; the last one says what to do."""
    name, faults = lane.lane, list[str]()
    if lane.fault == "wrong_type":
        why = "; ".join(lane.wrong_keys) or "a key of it holds something else"
        return [f"lane {name} cannot be used: {why}; what a repair does: copydesk lane repair {name}"]
    if lane.aside:
        faults.append(
            f"{lane.aside:,} entries of lane {name} are set aside: a repair was interrupted, and adds them again when it is "
            "run again"
        )
    if lane.missing > 0:
        faults.append(f"{lane.missing:,} entries vanished from lane {name} (trimmed or deleted by a producer)")
    elif lane.missing < 0:
        faults.append(
            f"lane {name} was lost or restored: {-lane.missing:,} more have an outcome or wait than were added"
        )
    if lane.fault == "blocked":
        faults.append(f"lane {name} is blocked: a producer used up its ids, and nothing can be added")
    elif lane.fault == "ahead":
        faults.append(
            f"lane {name} is ahead of time: a producer chose an id from the future, or the clock of Redis was set back"
        )
    if behind:
        since = f"ends at {behind.stored}, of {behind.stored_at}" if behind.stored else "has nothing of it"
        return [
            f"the store was restored from an older back-up: of lane {name} it {since}, but documents up to {behind.left}, of "
            f"{behind.left_at}, had their outcome; ask the crawlers to send again what they sent in between",
            *faults,
        ]
    if faults and lane.missing >= 0:
        faults[-1] += (
            f"; what a repair does: copydesk lane repair {name}. If it was a producer, give it a lane of its own"
        )
    return faults


def unreadable_keys(minutes: Iterable[Minute]) -> tuple[str, ...]:
    """Return the keys of the minutes whose counters cannot be read."""
    return tuple(keys.minute(minute.at // 60) for minute in minutes if minute.is_unreadable)


def counter_faults(unreadable: Sequence[str]) -> list[str]:
    """Return the sentence about counters that cannot be read, if there are any. `unreadable`: their keys."""
    if not unreadable:
        return []
    more = f" and {len(unreadable) - 1:,} more" if len(unreadable) > 1 else ""
    return [
        f"Counters cannot be read: {unreadable[0]}{more} holds something else, so the documents of that minute are missing "
        f"in the counts of the last day; to remove it: redis-cli UNLINK {unreadable[0]}"
    ]
