"""The evidence against a document that kills its process: each death that found it being read, with cause and place.

Kept in Redis beside the lane, from the main process (the one that died cannot say it), until the document has its
outcome; the dead letter then holds it for good.
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
    """How a pool process ended. `at`: ISO 8601, UTC; `where`: host:pid; `how`: signal, exit code or time limit."""

    at: str
    where: str
    how: str

    @classmethod
    def now(cls, where: str, how: str) -> CrashReport:
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), where, how)

    def __str__(self) -> str:
        return f"{self.how} at {self.where}, {self.at}"


class CrashLog:
    """The evidence of one lane."""

    def __init__(self, queue: LeaseQueue) -> None:
        self._queue = queue
        self._record_script = queue.client.register_script(script("bereave"))

    def record_crash(self, death: CrashReport, *, lease_seconds: float) -> list[tuple[str, int]]:
        """The process `death.where` is gone: note it with what it was reading, and let all it held be dispatched again.

        Returns (id, attempts so far) of what it was reading.
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
        """Id → its deaths, oldest first; none for those of which none was seen."""
        if not ids:
            return {}
        found: Any = self._queue.client.hmget(self._queue.deaths, list(ids))
        return {id_: list(_parse(lines)) for id_, lines in zip(ids, found, strict=True) if lines}

    def forget(self, ids: Sequence[str]) -> None:
        """Their outcome is settled."""
        if ids:
            self._queue.client.hdel(self._queue.deaths, *ids)


def sentence(attempts: int, deaths: Iterable[CrashReport]) -> str:
    """The evidence as a dead letter tells it."""
    known = [str(death) for death in deaths]
    silent = attempts - len(known)
    if silent > 0:
        known.append(f"of {silent} nothing is known")
    return f"Reading it ended {attempts} processes: {'; '.join(known)}. It is not tried again."


def _parse(lines: bytes) -> Iterable[CrashReport]:
    for line in lines.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError, TypeError):
            yield CrashReport(**json.loads(line))
