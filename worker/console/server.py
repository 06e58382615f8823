"""Serves the console: on this machine only, or for others with a token."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import uvicorn

from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.console.web_security import host_name
from worker.errors import CopydeskError
from worker.settings import Settings

SHORTEST_TOKEN = 16  # characters


class UnsafeConsole(CopydeskError):
    """Raised when the console would be open to others without a token; the message says what to set."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`. A name other than `localhost` may resolve to any address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_for(host: str, public: tuple[str, ...], token: str | None) -> frozenset[str] | None:
    """Return the host names that the console answers to (None: all). Raises UnsafeConsole."""
    if (not is_loopback(host) or public) and token is None:
        raise UnsafeConsole("beyond this machine the console demands a token: set COPYDESK_CONSOLE_TOKEN")
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UnsafeConsole(f"COPYDESK_CONSOLE_TOKEN is too short: at least {SHORTEST_TOKEN} characters")
    if not is_loopback(host):
        return None
    return frozenset({"localhost", "127.0.0.1", "::1", host.strip("[]").lower(), *(host_name(name) for name in public)})


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    public: tuple[str, ...] = (),
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve until stopped.

    Raises UnsafeConsole. If the port is taken, uvicorn ends the process with its own message.
    """
    token = settings.console_token.get_secret_value() if settings.console_token else None
    names = names_for(host, public, token)
    app = build(ConsoleContext(settings, token=token), names=names, secure=certificate is not None)
    uvicorn.run(
        app,
        host=host.strip("[]"),
        port=port,
        log_config=None,  # logged by us; addresses may contain what somebody searched for
        access_log=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        limit_concurrency=200,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        ws="none",
    )
