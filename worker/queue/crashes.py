"""Crash reports by document: each crash of a process that was reading the document, with its cause and place.

The worker's main process writes them, because the crashed pool process cannot. They stay in Redis, in a hash beside the
lane, until the document has its outcome. A dead letter then keeps them permanently.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from worker.queue.lease_queue import CRASHES_EXPIRE_SECONDS, DISPATCHED, GROUP, MOST_DEATHS, LeaseQueue, script


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


class CrashLog:
    """The crash reports of one lane."""

    def __init__(self, queue: LeaseQueue) -> None:
        self._queue = queue
        self._record_script = queue.client.register_script(script("bereave"))

    def record_crash(self, death: CrashReport, *, lease_seconds: float) -> list[tuple[str, int]]:
        """Record the crash of process `death.where` with each entry that it was reading, and free all entries it held.

        The reaper dispatches the freed entries again at once. `lease_seconds` is the length of a lease. Returns
        (id, attempts so far) of each entry that the process was reading. Raises redis.RedisError.
        """
        evidence = json.dumps(asdict(death))
        arguments: list[Any] = [
            GROUP,
            death.where,
            DISPATCHED,
            int(lease_seconds * 1000),
            MOST_DEATHS,
            CRASHES_EXPIRE_SECONDS,
            evidence,
        ]
        reply = self._record_script(keys=[self._queue.lane, self._queue.deaths], args=arguments)
        return [(reply[n].decode(), int(reply[n + 1])) for n in range(0, len(reply), 2)]

    def of(self, ids: Sequence[str]) -> dict[str, list[CrashReport]]:
        """Return id → its crash reports, oldest first; ids without a report are left out. Raises redis.RedisError."""
        if not ids:
            return {}
        found: Any = self._queue.client.hmget(self._queue.deaths, list(ids))
        return {id_: list(_parse(lines)) for id_, lines in zip(ids, found, strict=True) if lines}

    def forget(self, ids: Sequence[str]) -> None:
        """Delete the reports of `ids`, whose outcome is settled. Raises redis.RedisError."""
        if ids:
            self._queue.client.hdel(self._queue.deaths, *ids)


def sentence(attempts: int, deaths: Iterable[CrashReport]) -> str:
    """Return the crash reports as the sentence that a dead letter shows."""
    known = [str(death) for death in deaths]
    silent = attempts - len(known)
    if silent > 0:
        known.append(f"of {silent} nothing is known")
    return f"Reading it ended {attempts} processes: {'; '.join(known)}. It is not tried again."


def _parse(lines: bytes) -> Iterable[CrashReport]:
    for line in lines.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError, TypeError):
            yield CrashReport(**json.loads(line))
