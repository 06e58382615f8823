"""Exit codes, and how failures become one."""

from __future__ import annotations

import sys
import traceback
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


def explain_failure(error: Exception) -> Exit:
    """Tell what went wrong in a sentence; a bug of ours shows its traceback."""
    # Typer brings its own copy of click's exceptions, so they are told apart by what they can do.
    if type(error).__name__ == "Abort":
        return Exit.INTERRUPTED
    if type(error).__name__ == "Exit":
        code = getattr(error, "exit_code", 1)
        return Exit(code) if code in list(Exit) else Exit.REJECTED
    show = getattr(error, "show", None)
    if show is not None:
        show()
        return Exit.USAGE
    from worker.observe.logs import mask

    module = type(error).__module__
    if module.startswith("pydantic"):
        say(f"copydesk: a setting is not usable: {mask(str(error))}")
        return Exit.USAGE
    if type(error).__name__ == "UnreadablePath":
        say(f"copydesk: {error}")
        return Exit.USAGE
    if module.startswith(("redis", "sqlalchemy", "psycopg", "kombu")) or isinstance(error, ConnectionError):
        say(f"copydesk: a server cannot be used: {mask(str(getattr(error, 'orig', None) or error)).strip()}")
        say("          Look at COPYDESK_REDIS_URL and COPYDESK_DATABASE_URL; unset, the embedded servers are used.")
        return Exit.UNREACHABLE
    if type(error).__name__ == "ServerUnfit":
        say(f"copydesk: {error}")
        return Exit.UNSOUND
    if type(error).__name__ == "SubmissionUnsure":
        say(f"copydesk: Redis does not answer: {error}")
        say("          Look at COPYDESK_REDIS_URL. Submit them again later; what had arrived is unchanged then.")
        return Exit.UNREACHABLE
    if type(error).__name__ == "EmbeddedServerError":
        say(f"copydesk: {error}")
        return Exit.UNREACHABLE
    say(mask("".join(traceback.format_exception(error))))
    return Exit.REJECTED
