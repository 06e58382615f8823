"""Values in replies of Redis."""

from __future__ import annotations


def text(value: bytes | str, errors: str = "strict") -> str:
    """Return a value as text. It is text already if the client decodes replies."""
    return value.decode("utf-8", errors) if isinstance(value, bytes) else value
