"""How Ctrl-C (SIGINT) and SIGTERM end a command: at any moment, once, and never while something is being stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_UNWIND_SECONDS = 2.0
_POLL_SECONDS = 0.02


class _State:
    """`received`: the signal that ends this process, or 0. `deferrals`: how many blocks of `deferred` are active. `lost`:
    the KeyboardInterrupt was raised where Python swallows it. `over`: the command is done, signals change nothing.
    """

    received = 0
    deferrals = 0
    lost = False
    over = False


_state = _State()


def raise_once() -> None:
    """From now on the first signal raises KeyboardInterrupt in the main thread; later ones change nothing."""
    previous = sys.unraisablehook

    def note_lost(unraisable: Any) -> None:
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
    """Whether a signal ends this command, even if an exception of its own came first."""
    return bool(_state.received)


def finish() -> None:
    """From now on signals change nothing: the command is done and its exit code is known."""
    _state.over = True


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Raise KeyboardInterrupt after the block instead of inside it: for starting a process and remembering it, and for
    stopping what was started. Only for blocks that end by themselves.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are handled in the main thread only
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
    """Call `leave` in another thread when the command has not ended two seconds after a signal, because the main thread
    waits in C code (SQLite, a name look-up, a full pipe) where no KeyboardInterrupt reaches it.

    Not for processes that fork: their children would write to the same pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait_and_leave, args=(reading, leave), name="copydesk-interrupts", daemon=True).start()


def _wait_and_leave(reading: int, leave: Callable[[], NoReturn]) -> None:
    main = threading.main_thread().ident or 0
    # The command may have handlers of its own (uvicorn), which end it in their own time.
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
