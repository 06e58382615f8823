"""Exit codes, and where talk goes."""

from __future__ import annotations

import atexit
import os
import sys
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    REJECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNSOUND = 4
    TIMED_OUT = 5
    INTERRUPTED = 130


def say(text: str = "") -> None:
    """Talk goes to standard error; data alone goes to standard output."""
    print(text, file=sys.stderr)  # noqa: T201  this is the command line


def leave(code: int) -> NoReturn:
    """End this process without taking the interpreter apart, which costs up to half a second and changes nothing.

    What was registered with `atexit` is done; output that cannot be written is told by Python's own code for that, 120.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):  # nobody reads it, or it is closed
            continue
        except OSError:
            code = 120
    os._exit(code)


def leave_at_once(code: int) -> NoReturn:
    """As `leave`, without waiting for those who read the output."""
    atexit._run_exitfuncs()
    os._exit(code)
