"""Streams with documents that no lane serves: a crawler wrote a lane's name wrong, or a lane left the settings too early."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import redis

from worker.queue import keys
from worker.settings import INTERNAL_LANE

_MOST_STREAMS = 1000
"""Streams that are looked at, so that a Redis that others use too is not read for long."""


@dataclass(frozen=True, slots=True)
class UnservedStream:
    """A stream and the number of its entries."""

    name: str
    entries: int

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do."""
        return (
            f"Nobody serves the stream {self.name} ({self.entries:,} waiting): add it to COPYDESK_LANES of all workers, or "
            "correct the name in the crawler"
        )


def unserved_streams(client: redis.Redis, lanes: Collection[str]) -> list[UnservedStream]:
    """Return the streams whose oldest entry is a document and that are none of `lanes`; none if Redis refuses to look.

    It goes through all keys of the database, a thousand at a time. Raises redis.RedisError.
    """
    try:
        names = (name.decode("utf-8", "replace") for name in _streams(client))
        others = (
            name
            for name in names
            if name not in (*lanes, INTERNAL_LANE, keys.CHANGE_FEED) and not name.startswith(keys.OWN_PREFIXES)
        )
        found = [_unserved(client, name) for name in itertools.islice(others, _MOST_STREAMS)]
    except redis.exceptions.NoPermissionError:
        return []
    return sorted((one for one in found if one is not None), key=lambda one: -one.entries)


def _streams(client: redis.Redis) -> Iterator[bytes]:
    yield from client.scan_iter(count=1000, _type="stream")


def _unserved(client: redis.Redis, name: str) -> UnservedStream | None:
    oldest = client.xrange(name, count=1)
    if not oldest or not {b"raw", b"op"} & set(oldest[0][1] or {}):
        return None
    return UnservedStream(name, client.xlen(name))
