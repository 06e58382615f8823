"""Keeps the dispatcher working when another program has overwritten a key in Redis, or a value in it."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from worker.jobs.wrong_keys import find_wrong_keys, new_name, remove_unreadable_numbers, rename_wrong_keys
from worker.queue import keys
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")


class KeyCheck:
    """Checks the types of the keys of some lanes, and the numbers in them that nothing else would overwrite.

    A key that only Copydesk writes is renamed: its counts or pauses are lost already, and begin again. A lane itself is
    only reported, because its name is chosen by people and may belong to another program.
    """

    def __init__(self, client: redis.Redis, lanes: Sequence[str]) -> None:
        self._client = client
        self._lanes = dict.fromkeys(lanes, "stream")
        self._own = dict(keys.SHARED_TYPES)
        for lane in lanes:
            self._own |= keys.types_of_lane(lane)
        self._numbers = [
            keys.RESUMED_LANES,
            *(key for lane in lanes for key in (keys.outcomes(lane), keys.resumed_sources(lane))),
        ]
        self.blocked: frozenset[str] = frozenset()
        """The lanes that are no streams: no command may be sent to them."""

    def check(self) -> bool:
        """Update `blocked` and rename what must be renamed; return whether `blocked` changed. Raises redis.RedisError."""
        for wrong in rename_wrong_keys(self._client, self._own):
            log.warning(
                "A key had the wrong type",
                error=f"{wrong.key} was a {wrong.actual} instead of a {wrong.expected}",
                next=f"it is renamed to {new_name(wrong.key)}; what it held before is lost and begins again",
            )
        for key, field, value in remove_unreadable_numbers(self._client, self._numbers):
            log.warning(
                "A value in a key was no number",
                error=f"the field {field} of {key} was {value}",
                next="it is removed; what it held before is lost and begins again",
            )
        found = {wrong.key: wrong for wrong in find_wrong_keys(self._client, self._lanes)}
        for lane in sorted(found.keys() - self.blocked):
            log.error(
                "A lane is not a stream",
                lane=lane,
                error=str(found[lane]),
                next=f"the other lanes are processed; what a repair does: copydesk lane repair {lane}",
            )
        for lane in sorted(self.blocked - found.keys()):
            log.warning("A lane is a stream again", lane=lane, next="its documents are processed")
        before, self.blocked = self.blocked, frozenset(found)
        return before != self.blocked
