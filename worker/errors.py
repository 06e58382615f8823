"""The base class of the project's exceptions, and the exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    REJECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNSOUND = 4
    TIMED_OUT = 5
    INTERRUPTED = 130


class CopydeskError(Exception):
    """The base class of exceptions with a message for the user, which says what is wrong and what to do.

    A command that ends with such an exception prints the message and exits with `exit_code` of its class.
    """

    exit_code: ClassVar[Exit] = Exit.USAGE
