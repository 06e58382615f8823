"""Exit codes, and where talk goes."""

from __future__ import annotations

import sys
from enum import IntEnum


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
