"""The root of the project's exceptions, and the exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    REJECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNSOUND = 4
    TIMED_OUT = 5
    INTERRUPTED = 130


class CopydeskError(Exception):
    """The root of all exceptions whose message is written for a user: it says what is wrong and what to do.

    A command that ends with one prints the message and exits with the code of its class.
    """

    exit_code: ClassVar[Exit] = Exit.USAGE
