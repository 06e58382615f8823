"""Reads an entry that is too large for memory, directly from the client's socket, one MiB at a time.

The server copies the entry once into the connection's output buffer. This process never holds more than one piece and
the first bytes of each field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import redis

HEAD = 65_536  # bytes that are kept of each field
_PIECE = 1 << 20  # bytes of one read
_NAMES = 16  # fields that are kept; the contract has six, and a warning names the first unknown ones
_LONGEST_NAME = 200


@dataclass(slots=True)
class EntryPrefix:
    """The first bytes of each field of an entry, and the length in bytes and the SHA-256 of its `raw`."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    raw_size: int = 0
    sha256: bytes | None = None


def read_prefix(
    client: redis.Redis, lane: str, id_: str, *, fields: frozenset[bytes], whole: bool = True
) -> EntryPrefix:
    """Read the beginning of the fields `fields` of an entry, and of a few others.

    `whole` reads all of the entry. Without it reading stops early, and `sha256` covers only the part of `raw` that was
    read. An entry that does not exist gives no fields. Raises redis.RedisError.
    """
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("XRANGE", lane, id_, id_)
        # The reply is parsed here, because the client would hold all of it in memory.
        with connection._sock.makefile("rb", buffering=_PIECE) as stream:
            return _read_entry(stream, fields, whole)
    except (OSError, ValueError) as error:
        raise redis.ConnectionError(f"Reading a large entry broke off: {error}") from error
    finally:
        connection.disconnect()  # a part of the reply may be unread
        client.connection_pool.release(connection)


def _read_entry(stream: BinaryIO, fields: frozenset[bytes], whole: bool) -> EntryPrefix:
    prefix = EntryPrefix()
    if _length(stream, b"*") < 1:
        return prefix
    _length(stream, b"*")
    _read(stream, _length(stream, b"$"), _LONGEST_NAME)
    for _ in range(_length(stream, b"*") // 2):
        name = _read(stream, _length(stream, b"$"), _LONGEST_NAME)
        size = _length(stream, b"$")
        digest = hashlib.sha256() if name == b"raw" else None
        if digest is not None and not whole:
            prefix.fields[name], prefix.raw_size = _read(stream, min(size, HEAD), HEAD, ends=size <= HEAD), size
            prefix.sha256 = hashlib.sha256(prefix.fields[name]).digest()
            if size > HEAD:
                break
            continue
        value = _read(stream, size, HEAD, digest.update if digest else None)
        if digest is not None:
            prefix.raw_size, prefix.sha256 = size, digest.digest()
        if name in fields or len(prefix.fields) < _NAMES:
            prefix.fields[name] = value
        elif not whole:
            break
    return prefix


def _length(stream: BinaryIO, kind: bytes) -> int:
    """Read the length of an array (`*`) or of a bulk string (`$`). Raises ValueError for another reply."""
    line = stream.readline(_LONGEST_NAME)
    if line.startswith(b"-"):
        raise redis.ResponseError(line[1:].decode("utf-8", "replace").strip())
    if not line.startswith(kind) or not line.endswith(b"\r\n"):
        raise ValueError(f"unexpected reply {line[:40]!r}")
    return int(line[1:])


def _read(
    stream: BinaryIO, size: int, max_bytes: int, update: Callable[[bytes], object] | None = None, *, ends: bool = True
) -> bytes:
    """Read `size` bytes of a bulk string and return the first `max_bytes`. `ends` also reads the line break after it."""
    head, left = b"", size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise ValueError("the connection was closed")
        left -= len(piece)
        if update is not None:
            update(piece)
        if len(head) < max_bytes:
            head += piece[: max_bytes - len(head)]
    if ends:
        stream.read(2)
    return head


__all__ = ["HEAD", "EntryPrefix", "read_prefix"]
