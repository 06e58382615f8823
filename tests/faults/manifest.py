"""The producer's own account of what it sent: JSON lines in a file outside Redis and the store."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Sent:
    """One document that was sent. `number` is its W3C trace id too, by which its receipt is found.

    `sure`: Redis has acknowledged it and its persistence promises it. Otherwise it may be there or not, but only whole,
    and once. `code`: of the problem for which it must be rejected; None: it must be accepted.
    """

    number: int
    at: float
    lane: str
    source: str
    key: str | None
    op: str
    url: str
    title: str = ""
    secured: str = ""
    related: tuple[str, ...] = ()
    code: str | None = None
    id: str | None = None
    sure: bool = False
    untraced: bool = False
    """Its way here has no place for a trace id: its receipt is found by source, key and op, which nothing else has."""

    @property
    def trace(self) -> str:
        return f"{self.number:032x}"


class Manifest:
    """Appends to the file; `read` builds the account again from the file alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.count = 0

    def add(self, sent: Sent) -> None:
        """What became of the attempt to send it is known: `sure` with its id, or not."""
        with self._lock:
            self._write({"sent": dataclasses.asdict(sent)})
            self.count += 1

    def doubt(self, since: float, until: float) -> None:
        """Redis lost what it had acknowledged in this time, and its persistence never promised otherwise."""
        with self._lock:
            self._write({"doubt": [since, until]})

    def _write(self, line: dict) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Reader:
    """Reads a manifest's file, each time from where it ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._doubts: list[tuple[float, float]] = []
        self.sent: dict[str, Sent] = {}
        """Trace id → what was sent."""

    def read(self) -> dict[str, Sent]:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._offset += len(line)
                entry = json.loads(line)
                if "doubt" in entry:
                    since, until = entry["doubt"]
                    self._doubts.append((since, until))
                    for sent in self.sent.values():
                        sent.sure = sent.sure and not since <= sent.at <= until
                else:
                    sent = Sent(**{**entry["sent"], "related": tuple(entry["sent"]["related"])})
                    # It may be written down after the doubt about the time in which it was sent.
                    sent.sure = sent.sure and not any(since <= sent.at <= until for since, until in self._doubts)
                    self.sent[sent.trace] = sent
        return self.sent


def now() -> float:
    """The manifest's clock; nothing but the order and `doubt` depends on it."""
    return time.monotonic()
