"""The linker process: `python -m worker.linking.process [PARENT]`. Each worker starts one, and one of all leads.

It is a process and not a thread of the worker for three reasons. A thread's arithmetic would delay the dispatcher,
because they share the interpreter lock. The pool's children would copy its memory. It would count towards the worker's
memory limit.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
import time

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.linking.announcements import announce
from worker.linking.linker import LEASE_SECONDS, ROLE, Linker
from worker.queue.connection import connect
from worker.settings import Settings, settings
from worker.store.engine import driver_error, is_conflict, is_transient, make_engine
from worker.store.linking import leader
from worker.telemetry import logs
from worker.telemetry.logs import get_logger

log = get_logger("link")

_IDLE_SECONDS = 0.2
_PAUSE_SECONDS = 1.0  # between batches that are not full
_STANDBY_SECONDS = 1.0
_ANNOUNCE_SECONDS = 1.0  # while there is more to link; at once when there is not
_TROUBLE_SECONDS = 1.0
_BUG_SECONDS = 10.0
_GARBAGE_OBJECTS = 20_000  # allocations between two collections of the youngest generation


class LinkLoop:
    """Acquires the lead when it is free, and links while it leads, until `ended` is set."""

    def __init__(self, config: Settings, ended: threading.Event) -> None:
        self._config = config
        self._ended = ended
        self._engine: Engine = make_engine(config, small_cache=True, repeats=True)
        self._client = connect(config.redis)
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._token: int | None = None
        self._linker: Linker | None = None
        self._in_trouble = False
        self._announced_at = 0.0

    def run(self, *, parent: int | None = None) -> None:
        """Run until `ended` is set, or until this process's parent is no longer `parent`; then give the lead back."""
        while not self._ended.is_set() and (parent is None or os.getppid() == parent):
            self._ended.wait(self._try_step())
        self._resign()
        self._engine.dispose()

    def _try_step(self) -> float:
        try:
            wait = self._step()
        except leader.NoLongerLeader:
            log.warning("Another process links now", worker=self._holder, next="this one stands by")
            self._token = self._linker = None
            return _STANDBY_SECONDS
        except SQLAlchemyError as error:
            if not is_transient(error) and not is_conflict(error):
                log.exception("Linking failed", next=f"it is retried in {_BUG_SECONDS:.0f} s; articles stay pending")
                return _BUG_SECONDS
            what = (
                "An article was removed meanwhile"
                if is_conflict(error)
                else "The store cannot be used, nothing is linked"
            )
            self._log_first(what, driver_error(error))
            return _TROUBLE_SECONDS
        except Exception:
            # A bug must not end the process: articles would stay pending.
            log.exception("Linking failed", next=f"it is retried in {_BUG_SECONDS:.0f} s; articles stay pending")
            return _BUG_SECONDS
        if self._in_trouble:
            self._in_trouble = False
            log.info("Linking continues")
        return wait

    def _step(self) -> float:
        """Do one bounded step; return how many seconds to wait before the next one."""
        if self._linker is None:
            self._token = leader.acquire(self._engine, ROLE, self._holder, seconds=LEASE_SECONDS)
            if self._token is None:
                return _STANDBY_SECONDS
            log.info("This process links", worker=self._holder)
            self._linker = Linker(
                self._engine,
                token=self._token,
                window=self._config.link_window_articles,
                rules=self._config.heat_rules,
                pause=_PAUSE_SECONDS,
            )
        done = self._linker.step()
        if done and time.monotonic() - self._announced_at < _ANNOUNCE_SECONDS:
            return 0.0
        self._announced_at = time.monotonic()
        try:
            announced = announce(self._engine, self._client)
        except redis.RedisError as error:
            self._log_first("Redis cannot be used, changed stories are announced later", error)
            announced = 0
        return 0.0 if done or announced else _IDLE_SECONDS

    def _log_first(self, sentence: str, error: object) -> None:
        if not self._in_trouble:
            log.warning(
                "The linker waits", error=f"{sentence}: {error}", next="it retries each second; nothing is lost"
            )
        self._in_trouble = True

    def _resign(self) -> None:
        if self._token is None:
            return
        try:
            leader.resign(self._engine, ROLE, self._token)
        except SQLAlchemyError:
            log.info("The linker's lease could not be released", next=f"it expires in {LEASE_SECONDS:.0f} s")


def collect_rarely() -> None:
    """Make garbage collection rare: a batch makes many objects and few cycles. (Measured: a tenth of the CPU.)"""
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 20)


def main() -> None:
    """Link until SIGTERM, SIGINT, or the end of the worker that started this process.

    The worker passes its process id as the argument, because it may end before this function reads `os.getppid()`.
    """
    collect_rarely()
    config = settings()
    logs.configure(form=config.log_format, level=config.log_level)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    began = time.monotonic()
    LinkLoop(config, ended).run(parent=int(sys.argv[1]) if sys.argv[1:] else os.getppid())
    log.debug("The linker ends", seconds=round(time.monotonic() - began, 1))


if __name__ == "__main__":
    main()
    # Everything is written. A stopping worker would wait a quarter of a second for the interpreter's shutdown.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
