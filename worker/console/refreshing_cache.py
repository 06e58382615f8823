"""A cache for slow counts, refreshed in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RefreshingCache(Generic[Value]):
    """The last value of `count`: at most `seconds` old if that takes at most `timeout` seconds, else an older one.

    One thread counts, whatever the number of callers. Thread-safe.
    """

    def __init__(self, count: Callable[[], Value], *, seconds: float, timeout: float = 0.05) -> None:
        self._count = count
        self._seconds = seconds
        self._timeout = timeout
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._running = False
        self._value: Value | None = None
        self._error: Exception | None = None
        self._at: float | None = None

    def begin(self) -> bool:
        """Start counting if the value is due and no thread counts yet; return whether it was due."""
        with self._lock:
            is_due = self._at is None or time.monotonic() - self._at >= self._seconds
            if is_due and not self._running:
                self._running = True
                self._done.clear()
                threading.Thread(target=self._run, daemon=True).start()
            return is_due

    def get(self) -> tuple[Value | None, float]:
        """Return the value and its age in seconds; the value is None before the first count is done.

        Waits at most `timeout` seconds. Raises what `count` raised last.
        """
        if self.begin():
            self._done.wait(self._timeout)
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._value, 0.0 if self._at is None else time.monotonic() - self._at

    def wait(self, seconds: float) -> None:
        """Wait until the running count is done, at most `seconds`."""
        self._done.wait(max(0.0, seconds))

    def forget(self) -> None:
        """Make the value due, because something was changed."""
        with self._lock:
            if self._at is not None:
                self._at = time.monotonic() - self._seconds

    def _run(self) -> None:
        value, error = None, None
        try:
            value = self._count()
        except Exception as raised:  # noqa: BLE001  `get` raises it
            error = raised
        with self._lock:
            self._error = error
            if error is None:
                self._value = value
                self._at = time.monotonic()
            else:
                self._at = None
            self._running = False
            self._done.set()
