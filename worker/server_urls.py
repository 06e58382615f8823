"""The forms of the URLs of Redis and of the database. No message shows a URL, which may hold a password."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import SecretStr

_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel"})
_DATABASE_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+psycopg", "sqlite", "sqlite+pysqlite"})


def checked_redis_url(url: SecretStr | None) -> SecretStr | None:
    """Return the URL of Redis, or None if it is empty. Raises ValueError with a sentence that does not show it."""
    found = _checked(url, _REDIS_SCHEMES, "redis://host:6379/0, rediss://…, unix:///path or redis+sentinel://…")
    if found is not None:
        _check_redis_database(urlsplit(found.get_secret_value()))
    return found


def checked_database_url(url: SecretStr | None) -> SecretStr | None:
    """Return the URL of the database, or None if it is empty. Raises ValueError with a sentence that does not show it."""
    return _checked(url, _DATABASE_SCHEMES, "postgresql://user@host/name or sqlite:///path")


def normal_database_url(url: str) -> str:
    """Return a database URL for SQLAlchemy. `postgres://…` and `postgresql://…` get the driver psycopg 3."""
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", url)


def _checked(url: SecretStr | None, schemes: frozenset[str], expected: str) -> SecretStr | None:
    """`expected`: the forms that the sentence recommends."""
    if url is None or not url.get_secret_value().strip():
        return None
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme not in schemes:
        raise ValueError(f"it must look like {expected}")
    if "sentinel" in scheme and not rest.partition("?")[0].partition("/")[2]:
        raise ValueError("a Sentinel URL names its hosts and the service: redis+sentinel://host:26379/mymaster/0")
    port = re.search(r":([^:@/?\]]*)$", rest.rpartition("@")[2].partition("/")[0].partition("?")[0])
    if port and "," not in rest and not scheme.startswith(("unix", "sqlite")) and not port[1].isdigit():
        raise ValueError("its port is not a number")
    return url


def _check_redis_database(url: SplitResult) -> None:
    """Raise ValueError if the database of a Redis URL is not a number: clients would use 0 instead."""
    path = "" if url.scheme == "unix" else url.path.strip("/")
    if "sentinel" in url.scheme:
        path = path.partition("/")[2]  # after the service
    databases = [path, *(value for name, value in parse_qsl(url.query) if name == "db")]
    if not all(number.isascii() and number.isdigit() for number in filter(None, databases)):
        raise ValueError("its database is not a number; it is at the end: redis://host:6379/0")
