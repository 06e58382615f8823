"""Turns a failure into a sentence that says what to do, and an exit code. Only bugs of ours print a traceback."""

from __future__ import annotations

import errno
import os
import pwd
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from worker.cli.exits import print_message
from worker.errors import CopydeskError, Exit
from worker.settings import Settings, settings
from worker.telemetry.redaction import mask

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_OF_REDIS = ("redis.exceptions:RedisError", "redis.exceptions:RedisClusterException")
_NO_ANSWER = ("redis.exceptions:ConnectionError", "redis.exceptions:TimeoutError")
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_NO_TABLE_STATES = ("42P01", "42703", "3F000")
"""PostgreSQL's codes of undefined table, undefined column, invalid schema name."""
_USAGE_ERROR = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""Base class of click's errors. Newer versions of Typer bring their own copy of click."""


def explain_failure(error: Exception) -> Exit:
    """Print what went wrong and what to do; return the exit code. Only a bug of this program prints a traceback."""
    if isinstance(error, typer.Abort):
        return Exit.INTERRUPTED
    if isinstance(error, typer.Exit):
        return Exit(error.exit_code) if error.exit_code in list(Exit) else Exit.REJECTED
    if isinstance(error, _USAGE_ERROR):
        error.show()
        return Exit.USAGE
    code, lines = _explanation(error)
    if not lines:
        print_message(mask("".join(traceback.format_exception(error))))
        return code
    # The messages of servers keep their line breaks.
    first = lines[0].strip() if code == Exit.UNREACHABLE else " ".join(lines[0].split())
    print_message(f"copydesk: {mask(first)}")
    for line in lines[1:]:
        print_message(f"          {mask(line)}")
    return code


def _explanation(error: Exception) -> tuple[Exit, list[str]]:
    """Return the exit code, and as lines what went wrong and what to do. No lines: it is a bug."""
    if isinstance(error, CopydeskError):
        return error.exit_code, _of_ours(error)
    if _is_of(error, "pydantic:ValidationError", "pydantic_settings:SettingsError"):
        return Exit.USAGE, _of_settings(error)
    if isinstance(error, ConnectionError) or _is_of(error, *_OF_REDIS):
        return Exit.UNREACHABLE, _of_redis(error)
    if _is_of(error, "sqlalchemy.exc:SQLAlchemyError", "psycopg:Error"):
        return _of_store(error)
    if _is_of(error, "kombu.exceptions:KombuError"):
        return Exit.UNREACHABLE, [f"Celery's broker cannot be used: {error}", "Check COPYDESK_REDIS_URL."]
    if isinstance(error, UnicodeEncodeError) or (isinstance(error, ValueError) and "null byte" in str(error).lower()):
        return Exit.USAGE, [f"a text that is not valid Unicode, or has a NUL, cannot be used here: {error}"]
    if isinstance(error, OSError) and error.strerror:
        return _of_file(error)
    return Exit.REJECTED, []


def _of_file(error: OSError) -> tuple[Exit, list[str]]:
    if isinstance(error, PermissionError) and error.filename:
        return Exit.USAGE, _of_permission(Path(str(error.filename)).absolute())
    file = f"{error.filename}: " if error.filename else ""
    return Exit.UNREACHABLE if error.errno in _DISK_ERRORS else Exit.USAGE, [f"{file}{error.strerror}"]


def _of_permission(path: Path) -> list[str]:
    """Return whose the file or folder is, who this process is, and what to do."""
    first = next((part for part in (path, *path.parents) if os.access(part.parent, os.X_OK) and part.exists()), path)
    owner = f" It belongs to {_name_of(first.stat().st_uid)}." if first.exists() else ""
    is_ours = settings().data_dir.absolute() in (path, *path.parents)
    elsewhere = ", or set COPYDESK_DATA_DIR to a folder of yours" if is_ours else ""
    return [
        f"{path}: permission denied for {_name_of(os.geteuid())}.{owner}",
        f"Run the command as its owner, or give this user access with chown or chmod{elsewhere}.",
    ]


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _is_of(error: Exception, *classes: str) -> bool:
    """Return whether `error` is of one of `classes`, each named as `module:class`.

    The modules are not imported: a library that is not loaded has raised nothing, and loading four takes half a second.
    """
    for name in classes:
        module, _, class_name = name.partition(":")
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, class_name)):
            return True
    return False


def _of_ours(error: CopydeskError) -> list[str]:
    if not _is_of(error, "worker.producer.submission:SubmissionUnsure"):
        return [str(error)]
    config = _settings()
    why = _of_redis(ConnectionError()) if config and config.redis_url is None else ["Check COPYDESK_REDIS_URL."]
    again = "Submit the documents again later. Those that had arrived will be unchanged."
    return [f"Redis does not answer: {error}", *why, again]


def _of_settings(error: Exception) -> list[str]:
    """Return a sentence such as `COPYDESK_LANES: at least one lane is needed` for each wrong setting."""
    details: list[ErrorDetails] = getattr(error, "errors", list)()
    sentences = []
    for detail in details:
        name = "_".join(str(part) for part in detail["loc"]).upper()
        reason = str(detail.get("ctx", {}).get("error") or detail["msg"])
        sentences.append(f"COPYDESK_{name} is not usable: {reason[:1].lower()}{reason[1:]}")
    return sentences or [f"a setting is not usable: {error}"]


def _of_redis(error: Exception) -> list[str]:
    config = _settings()
    is_login_error = _is_of(error, "redis.exceptions:AuthenticationError", "redis.exceptions:AuthorizationError")
    is_silent = isinstance(error, OSError) or (_is_of(error, *_NO_ANSWER) and not is_login_error)
    # Imported here, so that a wrong option is reported without loading redis.
    from worker.cli.local_stack import why_no_answer
    from worker.queue.connection_faults import connection_fault

    if config is not None and config.redis_url is None and is_silent:
        return why_no_answer(config, error)
    fault = connection_fault(config.redis if config is not None else "", error)
    return [f"{fault.cause}.", fault.remedy]


def _of_store(error: Exception) -> tuple[Exit, list[str]]:
    original = getattr(error, "orig", None) or error
    text = " ".join(str(original).split())
    if "no such table" in text or "no such column" in text or getattr(original, "sqlstate", "") in _NO_TABLE_STATES:
        sentence = _of_schema()
        if sentence:
            return Exit.UNSOUND, [sentence]
    config = _settings()
    if config is not None and config.database_url is not None:
        check = "Check that it is running and that COPYDESK_DATABASE_URL is right."
    else:
        check = "Check the folder of COPYDESK_DATA_DIR and its disk."
    return Exit.UNREACHABLE, [f"the database cannot be used: {text}", check]


def _of_schema() -> str | None:
    """Return what is wrong with the schema and what to do; None if nothing is, or if the store cannot be reached."""
    from sqlalchemy.exc import SQLAlchemyError

    from worker.monitoring.servers.server_checks import schema_fault
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
    try:
        return settings()
    except ValueError:
        return None
