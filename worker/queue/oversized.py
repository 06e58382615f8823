"""Reads an entry that is too large to be held: past the client, straight from the socket, a piece at a time.

The server copies it once into the connection's buffer, and this process never holds more than a piece of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import redis

HEAD = 65_536  # bytes of a field that are kept
_PIECE = 1 << 20
_NAMES = 16  # fields that are kept; the contract has six, and the first unknown ones are named in a warning
_LONGEST_NAME = 200


@dataclass(slots=True)
class EntryPrefix:
    """The first bytes of each field of an entry, and the length and SHA-256 of its `raw`."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    raw_size: int = 0
    sha256: bytes | None = None


def read_prefix(
    client: redis.Redis, lane: str, id_: str, *, wanted: frozenset[bytes], whole: bool = True
) -> EntryPrefix:
    """Read the fields `wanted` of an entry, and a few others; without `whole` stop early, `sha256` being that of what came.

    Raises redis.RedisError. An entry that is gone has no fields.
    """
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("XRANGE", lane, id_, id_)
        # The protocol is read here by hand, because the client would hold the whole reply.
        with connection._sock.makefile("rb", buffering=_PIECE) as stream:
            return _read_entry(stream, wanted, whole)
    except (OSError, ValueError) as error:
        raise redis.ConnectionError(f"Reading a large entry broke off: {error}") from error
    finally:
        connection.disconnect()  # something of the reply may be left in it
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
    """Read the length of an array (`*`) or a text (`$`)."""
    line = stream.readline(_LONGEST_NAME)
    if line.startswith(b"-"):
        raise redis.ResponseError(line[1:].decode("utf-8", "replace").strip())
    if not line.startswith(kind) or not line.endswith(b"\r\n"):
        raise ValueError(f"unexpected reply {line[:40]!r}")
    return int(line[1:])


def _read(stream: BinaryIO, size: int, keep: int, digest: Any = None, *, ends: bool = True) -> bytes:
    """Read a text to its end, keeping its beginning."""
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
