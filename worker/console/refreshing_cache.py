"""A cache for slow counts, refreshed in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


_STALE_TIMEOUT = 0.7
_STALE_FACTOR = 3
_STALE_SECONDS = 5.0


class RefreshingCache(Generic[Value]):
    """The last value of `count`: at most `seconds` old if that takes at most `timeout` seconds, else an older one.

    Nobody looked at a value for a while, or it was forgotten: then it is stale, and a caller waits longer for a new one.
    One thread counts, whatever the number of callers. Thread-safe.
    """

    def __init__(self, count: Callable[[], Value], *, seconds: float, timeout: float = 0.05) -> None:
        self._count = count
        self._seconds = seconds
        self._stale_seconds = max(_STALE_FACTOR * seconds, _STALE_SECONDS)
        self._timeout = timeout
        self._began = self._forgotten_at = 0.0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._running = False
        self._value: Value | None = None
        self._error: Exception | None = None
        self._at: float | None = None

    def begin(self) -> bool:
        """Start counting if the value is due and no thread counts yet; return whether it was due."""
        with self._lock:
            is_due = self._is_older_than(self._seconds)
            if is_due and not self._running:
                self._running = True
                self._done.clear()
                threading.Thread(target=self._run, daemon=True).start()
            return is_due

    def _is_older_than(self, seconds: float) -> bool:
        return self._at is None or self._began < self._forgotten_at or time.monotonic() - self._at >= seconds

    def get(self) -> tuple[Value | None, float]:
        """Return the value and its age in seconds; the value is None before the first count is done.

        Waits at most `timeout` seconds, or 0.7 seconds if the value is stale. Raises what `count` raised last.
        """
        with self._lock:
            is_stale = self._is_older_than(self._stale_seconds)
        end = time.monotonic() + (max(self._timeout, _STALE_TIMEOUT) if is_stale else self._timeout)
        # A second count follows if the first one began before the value was forgotten.
        while self.begin() and self._done.wait(max(0.0, end - time.monotonic())) and self._error is None:
            pass
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._value, 0.0 if self._at is None else time.monotonic() - self._at

    def wait(self, seconds: float) -> None:
        """Wait until the running count is done, at most `seconds`."""
        self._done.wait(max(0.0, seconds))

    def forget(self) -> None:
        """Make the value stale, because something was changed."""
        with self._lock:
            self._forgotten_at = time.monotonic()

    def _run(self) -> None:
        value, error, began = None, None, time.monotonic()
        try:
            value = self._count()
        except Exception as raised:  # noqa: BLE001  `get` raises it
            error = raised
        with self._lock:
            self._error = error
            if error is None:
                self._value = value
                self._began, self._at = began, time.monotonic()
            else:
                self._at = None
            self._running = False
            self._done.set()
