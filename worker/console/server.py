"""Serves the console: on this machine only, or for others with a token."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.console.web_security import host_name
from worker.errors import CopydeskError, Exit
from worker.settings import Settings

SHORTEST_TOKEN = 16  # characters


class UnsafeConsole(CopydeskError):
    """Raised when the console would be open to others without a token; the message says what to set."""


class PortTaken(CopydeskError):
    """Raised when no connection can be accepted at the address; the message says why and what to do."""

    exit_code = Exit.USAGE


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`. A name other than `localhost` may resolve to any address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_for(
    host: str, public: tuple[str, ...], token: str | None, *, has_users: bool = False
) -> frozenset[str] | None:
    """Return the host names that the console answers to (None: all). Raises UnsafeConsole."""
    if (not is_loopback(host) or public) and token is None and not has_users:
        raise UnsafeConsole(
            "beyond this machine the console demands a token: add users with copydesk user add, or set COPYDESK_CONSOLE_TOKEN"
        )
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
    announce: Callable[[], None],
    public: tuple[str, ...] = (),
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve until stopped. `announce` is called when connections are accepted and the first page is ready.

    Raises UnsafeConsole; PortTaken if nothing can be served at this address; OSError if the certificate is not usable.
    """
    token = settings.console_token.get_secret_value() if settings.console_token else None
    console = ConsoleContext(settings, token=token)
    names = names_for(host, public, token, has_users=console.sessions.needs_token)
    app = build(console, names=names, secure=certificate is not None, announce=announce)
    config = uvicorn.Config(
        app,
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
    config.load()  # reads the certificate
    with bind(host.strip("[]"), port) as listening:
        uvicorn.Server(config).run(sockets=[listening])


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PortTaken(
            f"the console cannot use port {port} of {host}: {why[:1].lower()}{why[1:]}. Choose another one with --port"
        ) from error
