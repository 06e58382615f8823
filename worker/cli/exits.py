"""Print messages to stderr, and end the process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn


def say(text: str = "") -> None:
    """Print a message to stderr; stdout is for results."""
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
