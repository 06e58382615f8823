"""Handle Ctrl-C (SIGINT) and SIGTERM in commands. The first signal ends the command, later ones are ignored.

Blocks of `deferred` are never interrupted, for example while a process is started or stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_UNWIND_SECONDS = 2.0
_POLL_SECONDS = 0.02


class _State:
    """The state of the signal handling in this process.

    `received`: the signal that ends the process, or 0. `deferrals`: the number of active blocks of `deferred`. `lost`:
    the KeyboardInterrupt was raised where Python discards exceptions. `over`: the command has finished and ignores
    signals.
    """

    received = 0
    deferrals = 0
    lost = False
    over = False


_state = _State()


def raise_on_first_signal() -> None:
    """Install the handlers: the first signal raises KeyboardInterrupt in the main thread, later ones are ignored."""
    previous = sys.unraisablehook

    def note_lost(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is KeyboardInterrupt:  # raised in a destructor, for example
            _state.lost = True
        else:
            previous(unraisable)

    sys.unraisablehook = note_lost
    for number in _NUMBERS:
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    if _state.over or (_state.received and not _state.lost):
        return
    _state.received, _state.lost = number, False
    if not _state.deferrals:
        raise KeyboardInterrupt


def was_received() -> bool:
    """Return whether a signal was received, even if the command ends because of another exception."""
    return bool(_state.received)


def finish() -> None:
    """Ignore all later signals, because the command has finished and its exit code is known."""
    _state.over = True


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Delay a KeyboardInterrupt until the end of the block.

    Use it for blocks that start a process and record it, or that stop processes. The block must end without a signal.
    In other threads than the main thread it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return
    before = _state.received
    _state.deferrals += 1
    try:
        yield
    finally:
        _state.deferrals -= 1
    if _state.received and not before:
        raise KeyboardInterrupt


def end_in_time(leave: Callable[[], NoReturn]) -> None:
    """Start a thread that calls `leave` if the command has not ended two seconds after a signal.

    The main thread may be blocked in C code (SQLite, a name look-up, a full pipe), where KeyboardInterrupt is not
    raised. A block of `deferred` extends the time. Do not use this in processes that fork: their children would write
    to the same pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait_and_leave, args=(reading, leave), name="copydesk-interrupts", daemon=True).start()


def _wait_and_leave(reading: int, leave: Callable[[], NoReturn]) -> None:
    main = threading.main_thread().ident or 0
    # The command may install its own handlers (uvicorn). These decide themselves when the command ends.
    while not any(number in _NUMBERS and signal.getsignal(number) is _interrupt for number in os.read(reading, 64)):
        continue
    deadline = time.monotonic() + _UNWIND_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        if _state.deferrals:
            deadline = time.monotonic() + _UNWIND_SECONDS
        if _state.lost:
            signal.pthread_kill(main, signal.SIGINT)
    leave()
