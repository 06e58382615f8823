"""Connections to the Redis-protocol server, with time-outs that detect a silent loss of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry
from redis.sentinel import Sentinel

SOCKET_OPTIONS: dict[str, float] = {
    # Seconds. A network that drops packets silently never answers, so every wait needs a limit.
    # Measured: 0 of 11 clients recovered without these options, all 11 with them.
    "socket_timeout": 8,
    "socket_connect_timeout": 3,
    "health_check_interval": 5,
}
TCP_OPTIONS: dict[str, bool] = {"socket_keepalive": True}
_SENTINEL_PORT = 26379
_YES_OR_NO = ("ssl_check_hostname", "ssl_validate_ocsp", "ssl_validate_ocsp_stapled", "ssl_include_verify_flags")


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """A parsed `redis+sentinel://user:password@host:port,host:port/service/db?sentinel_password=…`.

    The scheme `rediss+sentinel` uses TLS. The user and password are those of the server. Those of the Sentinels are the
    options `sentinel_username` and `sentinel_password`.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    server: dict[str, str | int]
    sentinel: dict[str, str | int]


def sentinel_address(url: str) -> SentinelAddress | None:
    """Parse a Sentinel URL; return None for a URL of another scheme.

    Raises ValueError, with a message for the user, when a Sentinel URL is not usable.
    """
    address = urlsplit(url)
    if address.scheme not in ("redis+sentinel", "rediss+sentinel"):
        return None
    credentials, _, places = address.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts = [_host_and_port(place) for place in places.split(",")]
    service, _, database = address.path.strip("/").partition("/")
    if not service or not all(host for host, _ in hosts):
        raise ValueError("a Sentinel URL names its hosts and the service: redis+sentinel://host:26379/mymaster/0")
    options = dict(parse_qsl(address.query))
    server: dict[str, str | int] = {
        name: value.lower() in ("1", "true", "yes") if name in _YES_OR_NO else value
        for name, value in options.items()
        if name.startswith("ssl_")
    }
    sentinel = dict(server)
    for name in ("username", "password"):
        if f"sentinel_{name}" in options:
            sentinel[name] = options[f"sentinel_{name}"]
    if address.scheme == "rediss+sentinel":
        server["ssl"] = sentinel["ssl"] = True
    server["db"] = int(database or 0)
    if user:
        server["username"] = unquote(user)
    if password:
        server["password"] = unquote(password)
    return SentinelAddress(tuple(hosts), service, server, sentinel)


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":") if not place.endswith("]") and ":" in place else (place, "", "")
    return host.strip("[]"), int(port or _SENTINEL_PORT)


def connect(
    url: str, *, retries: int = 3, on_connect: Callable[[AbstractConnection], None] | None = None, **options: float
) -> redis.Redis:
    """Return a client for `url` (redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://).

    The client retries a command up to `retries` times, only when the connection broke or timed out. `on_connect` prepares
    each new connection to the server, instead of the method of this name. `options` override the time-outs. Raises
    ValueError for a Sentinel URL that is not usable.

    Every command of Copydesk is safe to repeat: reads, claims and settlements are idempotent, and a document that is
    added twice gets the outcome `unchanged` the second time.
    """
    retry = Retry(ExponentialWithJitterBackoff(cap=1, base=0.05), retries)
    address = sentinel_address(url)
    if address is None:
        return redis.Redis.from_url(url, retry=retry, redis_connect_func=on_connect, **{**_options(url), **options})
    common = {**SOCKET_OPTIONS, **TCP_OPTIONS, **options}
    sentinel_options = {
        **address.sentinel,
        **common,
        "retry": Retry(NoBackoff(), 0),
    }  # the next Sentinel is asked instead
    sentinel = Sentinel(address.hosts, sentinel_kwargs=sentinel_options, **common, **address.server)  # type: ignore[no-untyped-call]  # redis-py's
    client: redis.Redis = sentinel.master_for(address.service, retry=retry, redis_connect_func=on_connect)  # type: ignore[no-untyped-call]  # redis-py's
    return client


def connect_async(url: str, *, retries: int = 3, **options: float) -> aioredis.Redis:
    """Return an asyncio client; like `connect`."""
    retry = AsyncRetry(ExponentialWithJitterBackoff(cap=1, base=0.05), retries)
    address = sentinel_address(url)
    if address is None:
        return aioredis.Redis.from_url(url, retry=retry, **{**_options(url), **options})
    common = {**SOCKET_OPTIONS, **TCP_OPTIONS, **options}
    sentinel_options = {**address.sentinel, **common, "retry": AsyncRetry(NoBackoff(), 0)}
    sentinel = aioredis.Sentinel(address.hosts, sentinel_kwargs=sentinel_options, **common, **address.server)  # type: ignore[no-untyped-call]  # redis-py's
    client: aioredis.Redis = sentinel.master_for(address.service, retry=retry)
    return client


def _options(url: str) -> dict[str, Any]:
    return {**SOCKET_OPTIONS, **({} if url.startswith("unix:") else TCP_OPTIONS)}
