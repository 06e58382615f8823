"""Values in replies of Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import redis


def text(value: bytes | str, errors: str = "strict") -> str:
    """Return a value as text. It is text already if the client decodes replies."""
    return value.decode("utf-8", errors) if isinstance(value, bytes) else value


def is_wrong_type(error: Exception) -> bool:
    """Whether Redis refused a command, perhaps one of a script, because a key holds something of another type."""
    return isinstance(error, redis.ResponseError) and "WRONGTYPE" in str(error)


def takes_no_entries(error: redis.ResponseError) -> bool:
    """Whether XADD failed because the key is no stream, or because a producer has used the largest possible id.

    Both last until somebody repairs the lane; other refusals may end by themselves.
    """
    return is_wrong_type(error) or "exhausted the last possible ID" in str(error)


def absent_if_wrong(reply: Any) -> Any:
    """Return a reply of a pipeline with `raise_on_error=False`, or None if its key holds something of another type.

    Raises the reply if it is another error.
    """
    if not isinstance(reply, Exception):
        return reply
    if is_wrong_type(reply):
        return None
    raise reply


def count_in(value: bytes | str | int | None) -> int | None:
    """Return a count that Copydesk wrote, or None if there is none, or something that is no whole number."""
    try:
        return None if value is None else int(value)
    except ValueError:
        return None


@contextlib.contextmanager
def suppress_wrong_type() -> Iterator[None]:
    """Suppress the error of a command whose key holds something of another type. Other errors are raised."""
    try:
        yield
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
