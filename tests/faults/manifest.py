"""The producer's own record of what it sent: JSON lines in a file outside Redis and the store."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Sent:
    """A document that was sent. `number` is also its W3C trace id, by which its receipt is found.

    `sure`: Redis has acknowledged it and its persistence guarantees it. Otherwise it may be stored or not, but only
    whole,
    and once. `code`: the problem for which it must be rejected; None: it must be accepted.
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
    """It was sent in a way without a trace id: its receipt is found by source, key and op, which are unique."""

    @property
    def trace(self) -> str:
        return f"{self.number:032x}"


class Manifest:
    """Appends to the file; `read` restores the record from the file alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.count = 0

    def add(self, sent: Sent) -> None:
        """Record the result of an attempt to send it: `sure` with its id, or unknown."""
        with self._lock:
            self._write({"sent": dataclasses.asdict(sent)})
            self.count += 1

    def doubt(self, since: float, until: float) -> None:
        """Record that Redis lost acknowledged entries of this period, which its persistence settings do not guarantee."""
        with self._lock:
            self._write({"doubt": [since, until]})

    def _write(self, line: dict) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Reader:
    """Reads a manifest's file, each time from where the last read ended."""

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
                    break  # the line is still being written
                self._offset += len(line)
                entry = json.loads(line)
                if "doubt" in entry:
                    since, until = entry["doubt"]
                    self._doubts.append((since, until))
                    for sent in self.sent.values():
                        sent.sure = sent.sure and not since <= sent.at <= until
                else:
                    sent = Sent(**{**entry["sent"], "related": tuple(entry["sent"]["related"])})
                    # The entry may be written after the record of doubt about the period in which it was sent.
                    sent.sure = sent.sure and not any(since <= sent.at <= until for since, until in self._doubts)
                    self.sent[sent.trace] = sent
        return self.sent


def now() -> float:
    """Return the manifest's clock; only the order of lines and `doubt` depend on it."""
    return time.monotonic()
