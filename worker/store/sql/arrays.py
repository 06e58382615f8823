"""Encode columns of values as PostgreSQL's binary arrays, one parameter each.

psycopg determines the type of each element of a list and calls a dumper for it. Here the column gives the type once.
For the rows of a batch that is a third of the client's CPU.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import repeat
from typing import Any

from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import BigInteger, Boolean, Column, Date, Float, Integer, LargeBinary, String

from worker.store.columns import UtcDateTime

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(2000, 1, 1)
_NULL = struct.pack(">i", -1)
_length = struct.Struct(">i").pack
_int4 = struct.Struct(">ii").pack
_int8 = struct.Struct(">iq").pack
_float8 = struct.Struct(">id").pack
_TRUE, _FALSE = struct.pack(">i?", 1, True), struct.pack(">i?", 1, False)
_head = struct.Struct(">iiI").pack
_size = struct.Struct(">ii").pack
_EMPTY: dict[type, bytes] = {dict: b"\x01{}", list: b"\x01[]"}
_json = json.JSONEncoder(ensure_ascii=False).encode


class Array:
    """A query parameter: an array in PostgreSQL's binary format."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.data


def _of_bytes(value: bytes) -> bytes:
    return _length(len(value)) + value


def _of_text(value: str) -> bytes:
    return _of_bytes(value.encode())


def _of_json(value: Any) -> bytes:
    return _of_bytes(_json_data(value))


def _json_data(value: Any) -> bytes:
    # Most values are empty. The first byte is the version of jsonb's format.
    return (not value and _EMPTY.get(type(value))) or b"\x01" + _json(value).encode()


def _of_time(value: datetime) -> bytes:
    since = value - _EPOCH
    return _int8(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _each(encode: Callable[[Any], bytes]) -> Callable[[Sequence[Any]], Iterable[bytes]]:
    return lambda values: map(encode, values)


def _by_length(data: Callable[[Any], bytes] | None) -> Callable[[Sequence[Any]], Iterable[bytes]]:
    """Return an encoder of all values at once, with loops in C: texts and bytes are the largest part of every batch."""

    def parts_of(values: Sequence[Any]) -> Iterable[bytes]:
        found = values if data is None else list(map(data, values))
        parts: list[bytes] = [b""] * (2 * len(found))
        parts[::2], parts[1::2] = map(_length, map(len, found)), found
        return parts

    return parts_of


def _numbers(size: int, type_code: str) -> Callable[[Sequence[Any]], Iterable[bytes]]:
    def pack(values: Sequence[Any]) -> Iterable[bytes]:
        flat = [size] * (2 * len(values))
        flat[1::2] = values
        return (struct.pack(f">{('i' + type_code) * len(values)}", *flat),)

    return pack


class Kind:
    """The encoding of a column's values. `name`: the SQL type; `oid`: of an element; `array_oid`: of the array.

    `encode` encodes one value with its length; `encode_all` returns the parts of a list without None, to be joined
    (default: `encode` for each).
    """

    def __init__(
        self,
        name: str,
        oid: int,
        array_oid: int,
        encode: Callable[[Any], bytes],
        encode_all: Callable[[Sequence[Any]], Iterable[bytes]] | None = None,
    ) -> None:
        self.name, self._encode, self._encode_all = name, encode, encode_all or _each(encode)
        self._oid = oid
        # psycopg chooses a dumper by the parameter's class, so each kind has its own class.
        self.parameter: type[Array] = type(f"{name}_array", (Array,), {"__slots__": ()})
        self.dumper = type(f"{name}_dumper", (_Dumper,), {"oid": array_oid})

    def array(self, values: Sequence[Any]) -> Array:
        """Return the parameter for `values`, which may contain None. Raises UnicodeEncodeError on lone surrogates."""
        if not values:
            return self.parameter(_head(0, 0, self._oid))
        parts: Iterable[bytes]
        if values[0] is values[-1] and len(set(map(id, values))) == 1:  # as times of a batch
            parts = repeat(_NULL if values[0] is None else self._encode(values[0]), len(values))
        elif None not in values:
            parts = self._encode_all(values)
        else:
            parts = (_NULL if value is None else self._encode(value) for value in values)
        # Joined once: each further copy of the texts of a batch is some megabytes of new memory.
        return self.parameter(b"".join((_head(1, 1, self._oid), _size(len(values), 1), *parts)))


_TEXT = Kind("text", 25, 1009, _of_text, _by_length(str.encode))
_BYTES = Kind("bytea", 17, 1001, _of_bytes, _by_length(None))
_JSON = Kind("jsonb", 3802, 3807, _of_json, _by_length(_json_data))
_TIME = Kind("timestamptz", 1184, 1185, _of_time)
_DATE = Kind("date", 1082, 1182, lambda value: _int4(4, (value - _FIRST_DAY).days))
_INT4 = Kind("int4", 23, 1007, lambda value: _int4(4, value), _numbers(4, "i"))
_INT8 = Kind("int8", 20, 1016, lambda value: _int8(8, value), _numbers(8, "q"))
_FLOAT = Kind("float8", 701, 1022, lambda value: _float8(8, value))
_BOOL = Kind("bool", 16, 1000, lambda value: _TRUE if value else _FALSE)

KINDS = (_TEXT, _BYTES, _JSON, _TIME, _DATE, _INT4, _INT8, _FLOAT, _BOOL)
_BY_TYPE: tuple[tuple[type, Kind], ...] = (
    (UtcDateTime, _TIME), (Boolean, _BOOL), (BigInteger, _INT8), (Integer, _INT4), (Float, _FLOAT), (Date, _DATE),
    (LargeBinary, _BYTES), (String, _TEXT),
)  # fmt: skip


@functools.cache
def kind_of(column: Column[Any]) -> Kind:
    """Return the encoding of a column's values. Raises LookupError for a type that no table has yet."""
    if is_json(column):
        return _JSON
    for type_, kind in _BY_TYPE:
        if isinstance(column.type, type_):
            return kind
    raise LookupError(f"no array of {column.type!r}")


def is_json(column: Column[Any]) -> bool:
    """Return whether a column holds JSON."""
    return column.type.__class__.__name__ == "JSON"


def register(connection: Any) -> None:
    """Register the dumpers of these arrays with a psycopg connection."""
    for kind in KINDS:
        connection.adapters.register_dumper(kind.parameter, kind.dumper)
