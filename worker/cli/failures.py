"""How a failure becomes a sentence that says what to do, and an exit code. Tracebacks are for bugs of ours alone."""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING, Any

from worker.cli.exits import Exit, say

if TYPE_CHECKING:
    from worker.settings import Settings

_PASSWORD_MISSING = ("NOAUTH", "HELLO must be called with the client already authenticated", "Authentication required")
_PASSWORD_WRONG = ("WRONGPASS", "invalid username-password pair", "invalid password")
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_NO_TABLE_STATES = ("42P01", "42703", "3F000")
"""undefined table, undefined column, invalid schema name"""


def explain_failure(error: Exception) -> Exit:
    """Tell what went wrong in a sentence; a bug of ours shows its traceback."""
    # Typer brings its own copy of click's exceptions, so they are told apart by what they can do.
    name, module = type(error).__name__, type(error).__module__
    if name == "Abort":
        return Exit.INTERRUPTED
    if name == "Exit":
        code = getattr(error, "exit_code", 1)
        return Exit(code) if code in list(Exit) else Exit.REJECTED
    show = getattr(error, "show", None)
    if show is not None:
        show()
        return Exit.USAGE
    if module.startswith("pydantic"):
        return _tell(Exit.USAGE, *_of_settings(error))
    if module.startswith("redis") or isinstance(error, ConnectionError):
        return _tell(Exit.UNREACHABLE, *_of_redis(error))
    if module.startswith(("sqlalchemy", "psycopg")):
        return _of_store(error)
    if module.startswith("kombu"):
        return _tell(Exit.UNREACHABLE, f"Celery's broker cannot be used: {error}", "Look at COPYDESK_REDIS_URL.")
    if name == "SubmissionUnsure":
        config = _settings()
        why = _of_redis(ConnectionError()) if config and config.redis_url is None else ["Look at COPYDESK_REDIS_URL."]
        again = "Submit them again later; what had arrived is unchanged then."
        return _tell(Exit.UNREACHABLE, f"Redis does not answer: {error}", *why, again)
    plain = {
        "UnreadablePath": Exit.USAGE,
        "ServerUnfit": Exit.UNSOUND,
        "ForeignDatabase": Exit.UNSOUND,
        "EmbeddedServerError": Exit.UNREACHABLE,
        "NoDesk": Exit.UNREACHABLE,
        "AlreadyRunning": Exit.USAGE,
        "UnsafeFolder": Exit.UNREACHABLE,
    }
    if name in plain:
        return _tell(plain[name], str(error))
    if isinstance(error, UnicodeEncodeError) or (isinstance(error, ValueError) and "null byte" in str(error).lower()):
        return _tell(Exit.USAGE, f"a text that is not valid Unicode, or holds a NUL, cannot be used here: {error}")
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        sentence = f"{place}{error.strerror}"
        return _tell(Exit.UNREACHABLE if error.errno in _DISK_ERRORS else Exit.USAGE, sentence)
    from worker.observe.logs import mask

    say(mask("".join(traceback.format_exception(error))))
    return Exit.REJECTED


def _tell(code: Exit, sentence: str, *what_to_do: str) -> Exit:
    from worker.observe.logs import mask

    say(f"copydesk: {mask(' '.join(sentence.split()) if code != Exit.UNREACHABLE else sentence.strip())}")
    for line in what_to_do:
        say(f"          {mask(line)}")
    return code


def _of_settings(error: Exception) -> list[str]:
    """`COPYDESK_LANES: at least one lane is needed`, one a setting that is wrong."""
    found: list[dict[str, Any]] = getattr(error, "errors", list)()
    said = []
    for one in found:
        name = "_".join(str(part) for part in one["loc"]).upper()
        reason = str(one.get("ctx", {}).get("error") or one["msg"])
        said.append(f"COPYDESK_{name} is not usable: {reason[:1].lower()}{reason[1:]}")
    return said or [f"a setting is not usable: {error}"]


def _of_redis(error: Exception) -> list[str]:
    text = str(error)
    config = _settings()
    if any(part in text for part in _PASSWORD_MISSING):
        return ["Redis asks for a password.", "Put it into COPYDESK_REDIS_URL: redis://user:password@host:6379/0"]
    if any(part in text for part in _PASSWORD_WRONG):
        return ["Redis does not know the user or password of COPYDESK_REDIS_URL."]
    if type(error).__name__ == "NoPermissionError":
        return [f"Redis does not let this user do it: {text}", "worker/deploy has the ACL that each role needs."]
    if type(error).__name__ in ("ConnectionError", "TimeoutError", "BusyLoadingError") or isinstance(error, OSError):
        if config is not None and config.redis_url is None:
            from worker.cli.desk import why_no_answer

            return why_no_answer(config, error)
        return [f"Redis cannot be reached: {text}", "Is it running, and is COPYDESK_REDIS_URL right?"]
    return [f"Redis cannot be used: {text}", "Look at COPYDESK_REDIS_URL, and at the server's own log."]


def _of_store(error: Exception) -> Exit:
    original = getattr(error, "orig", None) or error
    text = " ".join(str(original).split())
    if "no such table" in text or "no such column" in text or getattr(original, "sqlstate", "") in _NO_TABLE_STATES:
        sentence = _of_schema()
        if sentence:
            return _tell(Exit.UNSOUND, sentence)
    where = (
        "COPYDESK_DATABASE_URL" if getattr(_settings(), "database_url", None) else "the disk under COPYDESK_DATA_DIR"
    )
    return _tell(Exit.UNREACHABLE, f"the database cannot be used: {text}", f"Is it there, and is {where} right?")


def _of_schema() -> str | None:
    """What is to be done about the schema; None: nothing, or it cannot be asked."""
    from sqlalchemy.exc import SQLAlchemyError

    from worker.operate.checks import schema_fault
    from worker.store.engine import make_engine

    config = _settings()
    if config is None:
        return None
    engine = make_engine(config, pooled=False)
    try:
        with engine.connect() as connection:
            return schema_fault(connection)
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()


def _settings() -> Settings | None:
    from worker.settings import settings

    try:
        return settings()
    except ValueError:
        return None
