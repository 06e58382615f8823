"""Outages of a server: throttled log lines, and the delay between probes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, update
from sqlalchemy.exc import SQLAlchemyError

from worker.store.engine import driver_error, enter_writer, writer
from worker.store.tables import lanes
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")

_LOG_EVERY_SECONDS = 60.0
_FIRST_PROBE_SECONDS = 0.25
_LONGEST_PROBE_SECONDS = 5.0
_TRIAL_SECONDS = 10.0


class Outage:
    """The outage of one server. Logged once a minute while it lasts and once when it is over. Thread-safe."""

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._since_text = ""
        self._logged_at = 0.0
        self.error = ""

    @property
    def is_active(self) -> bool:
        return self._since is not None

    @property
    def reason(self) -> str:
        """A sentence for status and heartbeats; empty when there is no outage."""
        return f"{self._what} cannot be used since {self._since_text}: {self.error}" if self.is_active else ""

    def record_failure(self, error: str, *, waiting: Callable[[], int] = lambda: 0) -> None:
        """Record a failure.

        `waiting` returns the number of waiting documents; it is called only when a line is logged.
        """
        with self._lock:
            now, self.error = self._clock(), " ".join(error.split())
            if self._since is None:
                self._since, self._since_text = now, datetime.now(UTC).isoformat(timespec="seconds")
                self._logged_at = now - _LOG_EVERY_SECONDS
            if now - self._logged_at >= _LOG_EVERY_SECONDS:
                self._logged_at = now
                log.warning(
                    f"{self._what} cannot be used since {self._since_text}",
                    error=self.error,
                    documents=waiting(),
                    next="documents wait, none is lost; the worker retries by itself",
                )

    def record_recovery(self) -> None:
        """Record that the server works again."""
        with self._lock:
            if self._since is not None:
                seconds = self._clock() - self._since
                log.warning(
                    f"{self._what} can be used again", ms=round(seconds * 1000), next="documents are processed again"
                )
                self._since = None


class StoreWatch:
    """Stops dispatching while the store cannot be used, and probes it to find out when it can.

    works ──a batch fails──▶ waits, probing ──probe succeeds──▶ on trial ──10 s without a failure──▶ works
                                  ▲─────────────a batch fails──────────────┘   (same outage: waits longer each time)
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self.outage = Outage("The store", clock=clock)
        self._waits = False
        self._next_probe = 0.0
        self._pause = _FIRST_PROBE_SECONDS
        self._trial_since: float | None = None

    @property
    def waits(self) -> bool:
        """Whether dispatching must wait."""
        return self._waits

    def record_failure(self, error: str, *, at: float | None = None, waiting: Callable[[], int] = lambda: 0) -> None:
        """Record that a batch could not be stored.

        `at`: time.monotonic() of the failure. A failure from before the last successful probe is ignored: it says
        nothing about the store's present state.
        """
        if self._trial_since is not None and at is not None and at < self._trial_since:
            return
        self.outage.record_failure(error, waiting=waiting)
        if not self._waits:
            self._waits, self._trial_since = True, None
            self._next_probe = self._clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PROBE_SECONDS)

    def probe_if_due(self, *, waiting: Callable[[], int] = lambda: 0) -> None:
        """Probe the store if a probe is due. A probe may take as long as the statement time-out."""
        now = self._clock()
        if not self._waits:
            if self._trial_since is not None and now - self._trial_since >= _TRIAL_SECONDS:
                self._trial_since, self._pause = None, _FIRST_PROBE_SECONDS
                self.outage.record_recovery()
            return
        if now < self._next_probe:
            return
        try:
            probe(self._engine)
        except (SQLAlchemyError, OSError) as error:
            self.outage.record_failure(str(driver_error(error)), waiting=waiting)
            self._next_probe = self._clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PROBE_SECONDS)
        else:
            self._waits, self._trial_since = False, self._clock()


def probe(engine: Engine) -> None:
    """Take the writer lock and update rows to their own values. Raises SQLAlchemy's errors.

    `SELECT 1` is not enough: it succeeds on a store that is read-only, locked or of the wrong schema.
    """
    with writer(engine) as connection, connection.begin():
        enter_writer(connection)
        connection.execute(update(lanes).values(highest=lanes.c.highest))
