"""Reads an entry that is too large for memory, directly from the client's socket, one MiB at a time.

The server copies the entry once into the connection's output buffer. This process never holds more than one piece and
the first bytes of each field.
"""

from __future__ import annotations

import hashlib
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
    client: redis.Redis, lane: str, id_: str, *, wanted: frozenset[bytes], whole: bool = True
) -> EntryPrefix:
    """Read the beginning of the fields `wanted` of an entry, and of a few others.

    `whole` reads all of the entry. Without it reading stops early, and `sha256` covers only the part of `raw` that was
    read. An entry that does not exist gives no fields. Raises redis.RedisError.
    """
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("XRANGE", lane, id_, id_)
        # The reply is parsed here, because the client would hold all of it in memory.
        with connection._sock.makefile("rb", buffering=_PIECE) as stream:
            return _read_entry(stream, wanted, whole)
    except (OSError, ValueError) as error:
        raise redis.ConnectionError(f"Reading a large entry broke off: {error}") from error
    finally:
        connection.disconnect()  # a part of the reply may be unread
        client.connection_pool.release(connection)


def _read_entry(stream: BinaryIO, wanted: frozenset[bytes], whole: bool) -> EntryPrefix:
    found = EntryPrefix()
    if _length(stream, b"*") < 1:
        return found
    _length(stream, b"*")
    _read(stream, _length(stream, b"$"), _LONGEST_NAME)
    for _ in range(_length(stream, b"*") // 2):
        name = _read(stream, _length(stream, b"$"), _LONGEST_NAME)
        size = _length(stream, b"$")
        digest = hashlib.sha256() if name == b"raw" else None
        if digest is not None and not whole:
            found.fields[name], found.raw_size = _read(stream, min(size, HEAD), HEAD, ends=size <= HEAD), size
            found.sha256 = hashlib.sha256(found.fields[name]).digest()
            if size > HEAD:
                break
            continue
        value = _read(stream, size, HEAD, digest)
        if digest is not None:
            found.raw_size, found.sha256 = size, digest.digest()
        if name in wanted or len(found.fields) < _NAMES:
            found.fields[name] = value
        elif not whole:
            break
    return found


def _length(stream: BinaryIO, kind: bytes) -> int:
    """Read the length of an array (`*`) or of a bulk string (`$`). Raises ValueError for another reply."""
    line = stream.readline(_LONGEST_NAME)
    if line.startswith(b"-"):
        raise redis.ResponseError(line[1:].decode("utf-8", "replace").strip())
    if not line.startswith(kind) or not line.endswith(b"\r\n"):
        raise ValueError(f"unexpected reply {line[:40]!r}")
    return int(line[1:])


def _read(stream: BinaryIO, size: int, keep: int, digest: Any = None, *, ends: bool = True) -> bytes:
    """Read `size` bytes of a bulk string and return the first `keep`. `ends` also reads the line break after it."""
    head, left = b"", size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise ValueError("the connection was closed")
        left -= len(piece)
        if digest is not None:
            digest.update(piece)
        if len(head) < keep:
            head += piece[: keep - len(head)]
    if ends:
        stream.read(2)
    return head


__all__ = ["HEAD", "EntryPrefix", "read_prefix"]
