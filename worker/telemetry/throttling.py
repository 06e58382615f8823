"""Throttle repeated warnings: equal lines are written once a minute, with the number of suppressed lines.

The log handler does this, so it also applies to the lines of Celery and redis-py.
"""

from __future__ import annotations

import copy
import logging
import os
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

_WINDOW_SECONDS = 60.0
# Fields that make two lines of one event different. Ids and texts of errors do not.
_IDENTIFYING = ("lane", "source")
# Crawlers choose the sources. After this many different lines of an event in a minute, these fields are ignored.
_MAX_OF_AN_EVENT = 20


_Kind = tuple[str, str, tuple[str, ...]]
"""What equal lines have in common: the logger, the event, and the values of the fields in `_IDENTIFYING`."""


@dataclass(slots=True)
class _Seen:
    until: float
    left_out: int = 0
    last: logging.LogRecord | None = None


class MinuteThrottle(logging.StreamHandler[TextIO]):
    """A handler that writes equal warnings and errors once a minute.

    After the minute it writes the last suppressed line, with the number of the others in `left_out`. `clock`: seconds.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._seen: dict[_Kind, _Seen] = {}
        _handlers.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record or count it as suppressed. `logging` calls this under the handler's lock."""
        now = self._clock()
        self._log_suppressed(now)
        if record.levelno < logging.WARNING:
            super().emit(record)
            return
        key = _kind(record)
        if key not in self._seen and sum(known[:2] == key[:2] for known in self._seen) >= _MAX_OF_AN_EVENT:
            key = (*key[:2], ())
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Seen(now + _WINDOW_SECONDS)
            super().emit(record)
        else:
            seen.left_out += 1
            seen.last = record

    def _log_suppressed(self, now: float) -> None:
        for key in [key for key, seen in self._seen.items() if seen.until <= now]:
            seen = self._seen.pop(key)
            if seen.last is not None:
                self._seen[key] = _Seen(now + _WINDOW_SECONDS)
                super().emit(_with_count(seen.last, seen.left_out - 1))

    def close(self) -> None:
        """Write the suppressed lines with their counts, then close the handler. Takes the handler's lock."""
        self.acquire()
        try:
            self._log_suppressed(float("inf"))
            self._seen.clear()
        finally:
            self.release()
        super().close()

    def forget(self) -> None:
        """Drop the suppressed lines. Called in a forked child, because the parent writes them."""
        self._seen.clear()


def _kind(record: logging.LogRecord) -> _Kind:
    """Return the key of equal lines: event, lane and source of this project's lines, the template of other lines."""
    if not isinstance(record.msg, dict):
        return record.name, str(record.msg)[:200], ()
    event = record.msg
    about = tuple(str(event[name])[:100] for name in _IDENTIFYING if name in event)
    return record.name, str(event.get("event")), about


def _with_count(record: logging.LogRecord, count: int) -> logging.LogRecord:
    if count <= 0:
        return record
    record = copy.copy(record)
    if isinstance(record.msg, dict):
        record.msg = {**record.msg, "left_out": count}
    else:
        record.msg, record.args = f"{record.getMessage()} (and {count} more like it)", ()
    return record


_handlers: weakref.WeakSet[MinuteThrottle] = weakref.WeakSet()


def _after_fork() -> None:
    for handler in list(_handlers):
        handler.forget()


os.register_at_fork(after_in_child=_after_fork)
