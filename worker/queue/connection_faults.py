"""Explains why Redis cannot be used: one sentence with its address and cause, and what to do."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import redis

from worker.queue.connection import sentinel_address
from worker.queue.replies import is_wrong_type

_PASSWORD_MISSING = ("NOAUTH", "HELLO must be called with the client already authenticated", "Authentication required")
_PASSWORD_WRONG = ("WRONGPASS", "invalid username-password pair", "invalid password")
_NAME_UNKNOWN = ("Name or service not known", "Temporary failure in name resolution", "nodename nor servname")
_NOT_RUNNING = ("Connection refused", "No such file or directory")


class ConnectionFault(NamedTuple):
    """Why Redis cannot be used (`cause`, without a full stop), and what to do (`remedy`)."""

    cause: str
    remedy: str
    is_silent: bool = False
    """Whether the server accepts connections or packets and gives no answer: it hangs, or the network loses packets."""


def place(url: str) -> str:
    """Return where `url` points to, without user, password and options: `host:port`, or the path of a socket."""
    address = sentinel_address(url)
    if address is not None:
        return ", ".join(f"{host}:{port}" for host, port in address.hosts) + f" (Sentinel, {address.service})"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    host = parts.hostname or "localhost"
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or 6379}"


def connection_fault(url: str, error: Exception) -> ConnectionFault:
    """Explain `error`, which a client of `url` raised."""
    text, where = " ".join(str(error).split()), place(url)
    if any(part in text for part in _PASSWORD_MISSING):
        return ConnectionFault(
            f"Redis at {where} asks for a password", "Add it to COPYDESK_REDIS_URL: redis://user:password@host:6379/0"
        )
    if any(part in text for part in _PASSWORD_WRONG):
        return ConnectionFault(
            f"Redis at {where} does not know the user or password of COPYDESK_REDIS_URL", "Correct COPYDESK_REDIS_URL."
        )
    if isinstance(error, redis.exceptions.NoPermissionError):
        return ConnectionFault(
            f"Redis at {where} does not permit this user to do it: {text}", "worker/deploy has the ACL of each role."
        )
    if "MISCONF" in text:  # after other words if the command was one of a pipeline or of a script
        return ConnectionFault(
            f"Redis at {where} cannot write its file: {text.partition('MISCONF')[2].strip()}",
            "Free space on the disk of Redis, or see its log. It works again by itself; documents wait.",
        )
    if is_wrong_type(error):
        return ConnectionFault(
            f"A key of Redis at {where} holds something else than it must: {text}",
            "See whether copydesk health names the key: copydesk lane repair renames it. Else find out who writes to this Redis.",
        )
    if isinstance(error, redis.BusyLoadingError):
        return ConnectionFault(f"Redis at {where} is running and still loads its file", "Try again in a few seconds.")
    if isinstance(error, (redis.TimeoutError, TimeoutError)):
        return ConnectionFault(
            f"Redis at {where} does not answer", "See whether its process is stopped, its disk is slow, or the network is lost.",
            is_silent=True,
        )  # fmt: skip
    if any(part in text for part in _NAME_UNKNOWN):
        return ConnectionFault(
            f"Redis cannot be reached: no machine has the name in {where}", "Correct COPYDESK_REDIS_URL."
        )
    if any(part in text for part in _NOT_RUNNING):
        return ConnectionFault(
            f"Redis is not running at {where}",
            "Start it (redis-server, systemctl start redis, or docker compose up -d redis), or correct COPYDESK_REDIS_URL.",
        )
    if isinstance(error, (redis.ConnectionError, OSError)):
        return ConnectionFault(
            f"Redis at {where} cannot be reached: {text}", "Check that it is running and that COPYDESK_REDIS_URL is right."
        )  # fmt: skip
    return ConnectionFault(
        f"Redis at {where} cannot be used: {text}", "Check COPYDESK_REDIS_URL and the server's own log."
    )
