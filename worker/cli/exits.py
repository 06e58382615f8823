"""Prints messages to stderr, and ends the process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn


def print_message(text: str = "") -> None:
    """Print a message to stderr; stdout is for results."""
    print(text, file=sys.stderr)  # noqa: T201  this is the command line


def leave(code: int) -> NoReturn:
    """Run the `atexit` functions and end this process. Finalising the interpreter would cost up to half a second.

    If output cannot be written, the exit code is 120, as Python's own.
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


def leave_unflushed(code: int) -> NoReturn:
    """Like `leave`, but without flushing the output, which could wait for a reader."""
    atexit._run_exitfuncs()
    os._exit(code)
