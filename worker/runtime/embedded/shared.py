"""The embedded Valkey of a data directory: owned by this process, or used while another process owns it."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType

import redis

from worker.errors import CopydeskError
from worker.interrupts import deferred, was_received
from worker.queue.connection import connect
from worker.runtime.embedded.ownership import OWNER, USERS, VALKEY, FileLock, Holder, is_held, owner_of, users_of
from worker.runtime.embedded.valkey import EmbeddedValkey, end_leftovers
from worker.settings import Settings
from worker.telemetry.logs import get_logger

log = get_logger("supervisor")

_ANSWER_SECONDS = 2.0
_LOADING_SECONDS = 120.0
_INTERRUPTED_SECONDS = 10.0
"""After Ctrl-C a command waits at most this long for other commands that use its Valkey."""


class AlreadyRunning(CopydeskError):
    """Raised when another process owns the embedded servers of this directory."""


class SharedValkey:
    """Owns the embedded Valkey if nobody does; otherwise uses it, and the owner waits before stopping it.

    A context manager.

    `must_own`: refuse to use a Valkey of another process. `port`: also listen there, on 127.0.0.1 (0: no).
    """

    def __init__(self, settings: Settings, *, must_own: bool = False, port: int = 0) -> None:
        self._settings = settings
        self._data_dir = settings.data_dir.absolute()
        self._must_own = must_own
        self._port = port
        self._owner = FileLock(self._data_dir / OWNER)
        self._users = FileLock(self._data_dir / USERS)
        self._valkey: EmbeddedValkey | None = None
        self._watch: threading.Thread | None = None

    @property
    def is_owner(self) -> bool:
        """Whether this process starts and stops the Valkey."""
        return self._valkey is not None

    @property
    def is_lost(self) -> bool:
        """Whether the Valkey owned here was stopped because its lock file was removed."""
        return self._valkey is not None and self._valkey.is_lost

    def __enter__(self) -> SharedValkey:
        try:
            self.start()
        except BaseException:
            with deferred():
                self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait_for_users()
        finally:
            with deferred():
                self.stop()

    def start(self) -> None:
        """Start the Valkey, or connect to that of another owner.

        Raises AlreadyRunning, EmbeddedServerError, and redis.RedisError when another owner's Valkey does not answer.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            if not is_held(self._owner.path) and self._owner.acquire():
                self._own()
                return
            owner = owner_of(self._data_dir)
            if owner is not None and self._must_own:
                raise AlreadyRunning(
                    f"already running (pid {owner.pid or 'unknown'}): {owner.command} in {self._data_dir}"
                )
            if owner is not None and self._users.acquire(shared=True):
                # From here on the owner cannot stop its Valkey. It may have stopped it before.
                if is_held(self._owner.path):
                    self._wait_until_it_answers()
                    return
                self._users.close()
            time.sleep(0.05)

    def _own(self) -> None:
        words = [word for word in sys.argv[1:2] if not word.startswith("-")]
        self._owner.write(Holder(os.getpid(), " ".join(["copydesk", *words])))
        self._valkey = EmbeddedValkey(
            self._data_dir, self._owner, port=self._port, timeout=self._settings.watchdog_seconds
        )
        self._valkey.start()
        self._watch = threading.Thread(target=self._valkey.watch, daemon=True, name="valkey-watch")
        self._watch.start()

    def _wait_until_it_answers(self) -> None:
        began = time.monotonic()
        with connect(self._settings.redis, retries=0, socket_timeout=_ANSWER_SECONDS) as client:
            while True:
                try:
                    client.ping()
                except redis.exceptions.BusyLoadingError:
                    if time.monotonic() > began + _LOADING_SECONDS:
                        raise
                except (redis.ConnectionError, redis.TimeoutError):
                    if time.monotonic() > began + _ANSWER_SECONDS:
                        raise
                else:
                    return
                time.sleep(0.05)

    def wait_for_users(self, seconds: float = float("inf")) -> None:
        """Wait at most `seconds` until no other command uses the Valkey owned here.

        Then no other command can begin to use it.
        """
        if was_received():
            with deferred():  # an interrupted command ends soon, but not before its users
                self._wait_for_users(min(seconds, _INTERRUPTED_SECONDS))
        else:
            self._wait_for_users(seconds)

    def _wait_for_users(self, seconds: float) -> None:
        deadline, reported = time.monotonic() + seconds, False
        while self.is_owner and not self.is_lost and not self._users.acquire():
            if time.monotonic() > deadline:
                log.warning("Valkey is stopped while other commands use it", users=self._names())
                return
            if not reported:
                log.warning("Waiting for other commands that use this Valkey", users=self._names())
                reported = True
            time.sleep(0.05)

    def _names(self) -> str:
        return ", ".join(map(str, users_of(self._data_dir))) or "another command"

    def stop(self) -> None:
        """Stop the Valkey owned here, then release the lock on the directory."""
        if self._valkey is not None:
            self._valkey.end_watch()
            if self._watch is not None:
                self._watch.join()
            self._valkey.stop()
            self._valkey = None
        elif self._users.file >= 0:
            self._users.close()
            self._end_orphan()
        if self._owner.file >= 0:
            self._owner.erase()
            self._owner.close()
        self._users.close()

    def _end_orphan(self) -> None:
        """End the Valkey if its owner was killed and this was the last command that used it."""
        owner_died = is_held(self._data_dir / VALKEY) and not is_held(self._owner.path)
        if owner_died and self._owner.acquire() and self._users.acquire():
            end_leftovers(self._data_dir)
