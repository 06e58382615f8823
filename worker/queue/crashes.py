"""Crash reports by document: each crash of a process of which the document may be the cause, with its cause and place.

The worker's main process writes them, because the crashed pool process cannot. They stay in Redis, in a hash beside the
lane, until the document has its outcome. A dead letter then keeps them permanently.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import NamedTuple, cast

from worker.queue.lease_queue import CRASHES_EXPIRE_SECONDS, GROUP, MAX_CRASH_REPORTS, LeaseQueue, script
from worker.queue.replies import text


@dataclass(frozen=True, slots=True)
class CrashReport:
    """How a pool process ended.

    `at` is a time in ISO 8601, UTC. `where` is the process's host:pid, which is also its consumer name. `how` names the
    signal, the exit code or the time limit.
    """

    at: str
    where: str
    how: str

    @classmethod
    def now(cls, where: str, how: str) -> CrashReport:
        """Return a report with the current time of this process."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), where, how)

    def __str__(self) -> str:
        return f"{self.how} at {self.where}, {self.at}"


class HeldEntry(NamedTuple):
    """An entry that a process holds. `attempts` counts those that ended in a crash and, if it `is_read`, the present one."""

    id: str
    attempts: int
    is_read: bool


_MAX_HELD = 10_000  # more than a batch has


class CrashLog:
    """The crash reports of one lane."""

    def __init__(self, queue: LeaseQueue) -> None:
        self._queue = queue
        self._record_script = queue.client.register_script(script("record_crash"))

    def held_by(self, process: str) -> list[HeldEntry]:
        """Return the entries that a process (host:pid) holds. Raises redis.RedisError."""
        held = self._queue.client.xpending_range(self._queue.lane, GROUP, "-", "+", _MAX_HELD, consumername=process)
        counted = dict[str, int]()
        for entry in held:
            counted[text(cast(bytes, entry["message_id"]))] = (
                int(entry["times_delivered"]) - 1
            )  # the first delivery is the one to the dispatcher
        reports = self.of([id_ for id_, attempts in counted.items() if attempts])
        # Each earlier attempt has a report, so an attempt without one is the present one.
        return [HeldEntry(id_, count, count > len(reports.get(id_, ()))) for id_, count in counted.items()]

    def record_crash(self, crash: CrashReport, ids: Collection[str]) -> None:
        """Add a crash to the reports of `ids`. Raises redis.RedisError."""
        if ids:
            report = json.dumps(asdict(crash))
            arguments: list[str | int] = [MAX_CRASH_REPORTS, CRASHES_EXPIRE_SECONDS, report, *ids]
            self._record_script(keys=[self._queue.crash_reports], args=arguments)

    def of(self, ids: Sequence[str]) -> dict[str, list[CrashReport]]:
        """Return id → its crash reports, oldest first; ids without a report are left out. Raises redis.RedisError."""
        if not ids:
            return {}
        reports = self._queue.client.hmget(self._queue.crash_reports, list(ids))
        return {id_: list(_parse(text(lines, "replace"))) for id_, lines in zip(ids, reports, strict=True) if lines}

    def forget(self, ids: Sequence[str]) -> None:
        """Delete the reports of `ids`, whose outcome is settled. Raises redis.RedisError."""
        if ids:
            self._queue.client.hdel(self._queue.crash_reports, *ids)


def sentence(attempts: int, crashes: Iterable[CrashReport]) -> str:
    """Return the crash reports as the sentence that a dead letter shows."""
    known = [str(crash) for crash in crashes]
    unknown = attempts - len(known)
    if unknown > 0:
        known.append(f"nothing is known about {unknown} of them")
    return f"{attempts} processes ended while they read or stored it: {'; '.join(known)}. It is not retried."


def _parse(lines: str) -> Iterable[CrashReport]:
    for line in lines.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            yield CrashReport(**json.loads(line))
