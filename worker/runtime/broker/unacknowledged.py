"""Kombu's record of unacknowledged messages, changed to survive arbitrary data on its keys and full memory."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from kombu.message import Message
from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import Redis
from redis.exceptions import OutOfMemoryError

from worker.runtime.broker import task_door
from worker.runtime.broker.key_repair import retry_after_repair
from worker.settings import settings

_RESTORE_CHUNK = 500
# What decoding a hostile text can raise, including kombu's own JSON types.
NO_JSON = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class QoS(redis.QoS):
    """Tracks unacknowledged messages, whatever is stored at its keys.

    Without memory in Redis a message is not tracked: a claim check may be lost.
    """

    @retry_after_repair
    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)

    @retry_after_repair
    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().reject(delivery_tag, requeue)

    @retry_after_repair
    def restore_unacked(self, client: Redis | None = None) -> None:
        """Put back all unacknowledged messages of this process, in a few round trips.

        Kombu watches the hash of all workers for each message. Two workers that lost their connections restart their
        transactions whenever the other one writes: a minute for some hundred messages, with nothing else done (in a
        fault test).
        """
        channel: Any = self.channel
        tags = list(self._delivered or ())
        with channel.conn_or_acquire(client) as connected:
            for start in range(0, len(tags), _RESTORE_CHUNK):
                self._restore(channel, connected, tags[start : start + _RESTORE_CHUNK])
        if self._delivered:
            self._delivered.clear()

    def _restore(self, channel: Any, client: Any, tags: list[str]) -> None:
        routes: dict[tuple[str, str], list[str]] = {}
        with client.pipeline() as pipe:
            for remaining in filter(None, client.hmget(self.unacked_key, tags)):
                try:
                    message, exchange, routing_key = loads(bytes_to_str(remaining))
                    if (exchange, routing_key) not in routes:
                        routes[exchange, routing_key] = channel._lookup(exchange, routing_key)
                    key_of = functools.partial(
                        channel._q_for_pri, pri=channel._get_message_priority(message, reverse=False)
                    )
                except NO_JSON:
                    task_door.keep(remaining, settings())
                    continue
                for queue in routes[exchange, routing_key]:
                    pipe.rpush(key_of(queue), dumps(message))
            pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
        task_door.place(client)

    @retry_after_repair
    def append(self, message: Message, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            virtual.QoS.append(self, message, delivery_tag)

    @retry_after_repair
    def restore_visible(self, *args: int, **options: int) -> None:
        """Called every second. When Redis is out of memory, its lock cannot be written and the call is skipped."""
        with contextlib.suppress(OutOfMemoryError):
            super().restore_visible(*args, **options)

    def restore_by_tag(self, tag: str, client: Redis | None = None, leftmost: bool = False) -> None:
        """Put back one unacknowledged message.

        `task_door` keeps what is not a message; otherwise it would be retried forever.
        """
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError, AttributeError):
            channel: Any = self.channel
            with channel.conn_or_acquire() as own:
                garbage = own.hget(self.unacked_key, tag)
                if garbage is not None:
                    task_door.keep(garbage, settings())
                    task_door.place(own)
            self._remove_from_indices(tag).execute()  # type: ignore[attr-defined]  # nor this
