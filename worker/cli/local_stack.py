"""How commands reach the servers of this folder: commands that read start nothing, commands that write may."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import redis

from worker.errors import CopydeskError, Exit
from worker.queue.connection import connect
from worker.queue.connection_faults import connection_fault
from worker.runtime.embedded.ownership import is_stopped, owner_of, valkey_of
from worker.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ELSEWHERE = "Change to the folder where copydesk up or ingest ran, or set COPYDESK_DATA_DIR to its .copydesk."
_ANSWER_SECONDS = 1.0
"""How long to wait for an answer of Redis: a command that reads reports within 3 seconds that it does not answer."""


class ServersNotStarted(CopydeskError):
    """Raised when the embedded servers were never started in this folder; the message says where to look."""

    exit_code = Exit.UNREACHABLE


def why_no_answer(config: Settings, error: Exception | None = None) -> list[str]:
    """Return why the embedded Valkey does not answer, and what to do, as lines."""
    folder = config.data_dir.absolute()
    if not folder.exists():
        return [
            f"Copydesk was never started here: {folder} does not exist, and COPYDESK_REDIS_URL is not set.",
            f"{_ELSEWHERE} To start one here: copydesk up",
        ]
    valkey, owner = valkey_of(folder), owner_of(folder)
    if valkey is not None:
        pid = valkey.pid or "unknown"
        if isinstance(error, redis.BusyLoadingError):
            return [f"Valkey is running and still loads its file (pid {pid}).", "Try again in a few seconds."]
        if isinstance(error, redis.ResponseError):  # it answers, with an error
            fault = connection_fault(config.redis, error)
            return [f"{fault.cause}.", fault.remedy]
        is_halted = valkey.pid is not None and is_stopped(valkey.pid)
        why = "a signal stopped it" if is_halted else "its disk may be slow"
        return [
            f"Valkey is running but does not answer (pid {pid}): {why}.",
            f"It belongs to {owner}." if owner else "Its owner was killed: copydesk up takes over.",
            f"To continue it: kill -CONT {pid}. Its log: {folder / 'valkey' / 'valkey.log'}",
        ]
    if owner is not None:
        return [f"{owner} is running in {folder}, and its Valkey is starting.", "Try again in a few seconds."]
    return [f"nothing runs in {folder}.", "Start it with: copydesk up"]


def require_servers(config: Settings) -> None:
    """Check that servers are configured, or that the embedded ones were started once. Raises ServersNotStarted."""
    if config.redis_url is None and config.database_url is None:
        require_folder(config)


def require_folder(config: Settings) -> None:
    """Check that the embedded servers were started once. Raises ServersNotStarted."""
    if not config.data_dir.exists():
        raise ServersNotStarted("\n          ".join(why_no_answer(config)))


def reader(config: Settings) -> redis.Redis:
    """Return a client for a command that only reads.

    It starts nothing. The server must answer within 3 seconds: with retries, a server that hangs is reported after two
    minutes.

    Raises ServersNotStarted, or redis.RedisError when the server does not answer.
    """
    if config.redis_url is None:
        require_folder(config)
    with quick_client(config) as probe:
        probe.ping()
    return (
        connect(config.redis) if config.redis_url is not None else connect(config.redis, retries=0, socket_timeout=2.0)
    )


def quick_client(config: Settings) -> redis.Redis:
    """Return a client with a short time-out and no retries."""
    return connect(config.redis, retries=0, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS)


@contextlib.contextmanager
def writer(config: Settings) -> Iterator[redis.Redis]:
    """Yield a client for a command that writes. If no process owns the embedded Valkey, this one does while it runs.

    Raises ServersNotStarted if nothing was ever started, and the errors of `SharedValkey`.
    """
    with contextlib.ExitStack() as stack:
        if config.redis_url is None:
            # This and SQLAlchemy take a third of a second of CPU time, which commands that only read save.
            from worker.runtime.embedded.shared import SharedValkey
            from worker.telemetry import logs

            require_folder(config)
            logs.configure_for(config, level="warning")
            stack.enter_context(SharedValkey(config))
        yield stack.enter_context(connect(config.redis))


def open_store(config: Settings, *, small_cache: bool = False) -> Engine:
    """Return an engine for an existing store. Raises ServersNotStarted where SQLite would create an empty file."""
    from worker.store.engine import make_engine  # imports SQLAlchemy: after Redis has answered, see `reader`

    if config.database_url is None and not (config.data_dir / "copydesk.db").exists():
        require_servers(config)
        raise ServersNotStarted(
            f"there is no store in {config.data_dir.absolute()}, and COPYDESK_DATABASE_URL is not set.\n          {_ELSEWHERE}"
        )
    return make_engine(config, pooled=False, small_cache=small_cache)
