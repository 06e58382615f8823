"""Celery's Redis transport, changed to survive arbitrary data on its keys.

Kombu treats every item of its list as a message: raw text, `[]`, `null`, a truncated envelope or one without an id ends
the worker's main process or causes endless reconnects (12 forms, measured). Here `task_door` reads each message of the
task queue before kombu does; only claim checks, rebuilt from their checked parts, reach Celery. Messages for Celery's
own queues (replies to control commands) that cannot be used are dropped. No log line shows the content of a message.
"""

from __future__ import annotations

import base64
import binascii
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.client import PubSub
from redis.exceptions import OutOfMemoryError, ResponseError

from worker.queue.urgent_writes import write_when_full
from worker.runtime.broker import task_door
from worker.runtime.broker.key_repair import TASK_QUEUE, repair_keys, retry_after_repair
from worker.settings import settings
from worker.telemetry.logs import get_logger

log = get_logger("worker")

_BROADCAST_SECONDS = 1.0
# What decoding a hostile text can raise, including kombu's own JSON types.
NO_JSON = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class _SubscriptionWithTimeout:
    """A subscription that does not wait for a message that has not arrived.

    Kombu waits without a time-out. After a lost connection it waits forever and blocks the main process, although the
    new connection works (both workers of a pair hung after a network loss, in a fault test). Nor may it wait for a
    second: while it was called again and again without a message, a worker took one claim check a second, and 1,300
    of them waited.
    """

    def __init__(self, subscription: Any) -> None:
        self._subscription = subscription

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subscription, name)

    def parse_response(self) -> Any:
        connection = self._subscription.connection
        if connection is not None and not connection.can_read(timeout=0):
            return None
        return self._subscription.parse_response(block=False, timeout=_BROADCAST_SECONDS)


class Channel(redis.Channel):
    """Drops messages that are not JSON, repairs keys of the wrong type, bounds every wait, works when Redis is full."""

    do_restore = False
    """Messages that were not started when the connection was lost are not put back: the pool has them already."""
    _size = retry_after_repair(redis.Channel._size)
    _purge = retry_after_repair(redis.Channel._purge)

    def _receive_one(self, c: PubSub) -> Any:
        """Read one broadcast, with a time-out."""
        return super()._receive_one(_SubscriptionWithTimeout(c))  # type: ignore[misc]  # the stubs do not know it

    @retry_after_repair
    def _put(self, queue: str, message: Any, **options: Any) -> None:
        try:
            super()._put(queue, message, **options)
        except OutOfMemoryError:
            priority = self._get_message_priority(message, reverse=False)
            with self.conn_or_acquire() as client:
                key = self._q_for_pri(queue, priority)  # type: ignore[attr-defined]  # the stubs do not know it
                write_when_full(client, "LPUSH", key, dumps(message))  # small, and its processing frees memory

    def _brpop_start(self, *args: Any, **options: Any) -> Any:
        if task_door.has_waiting():
            with self.conn_or_acquire() as client:
                task_door.place(client, settings())
            if task_door.has_waiting():
                return None
        return super()._brpop_start(*args, **options)  # type: ignore[misc]  # the stubs do not know it

    def _brpop_read(self, **options: Any) -> Any:
        """Like kombu's method, but the bytes of each task message are classified before anything decodes them."""
        connection: Any = self.client.connection
        try:
            try:
                popped = self.client.parse_response(connection, "BRPOP", **options)
            except self.connection_errors:  # type: ignore[attr-defined]  # the stubs do not know it
                connection.disconnect()
                raise
            except ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                with self.conn_or_acquire() as client:
                    repair_keys(client)
                raise Empty from error
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[attr-defined]  # the stubs do not know it
        if not popped:
            raise Empty
        queue = bytes_to_str(popped[0]).rsplit(self.sep, 1)[0]
        message = self._message_for_celery(queue, popped[1])
        if message is not None and self._closing:  # type: ignore[attr-defined]  # the stubs do not know it
            # Kombu's `close` waits for the answer, after Celery has stopped to take messages. A claim check that came now
            # would be lost, and its entries would wait until their lease expires (25 s).
            with self.conn_or_acquire() as client:
                write_when_full(client, "RPUSH", popped[0], popped[1])  # it was in Redis a moment ago
            raise Empty
        self._queue_cycle.rotate(queue)  # type: ignore[attr-defined]  # nor this
        if message is not None:
            self.connection._deliver(message, queue)
        return True

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        with self.conn_or_acquire() as client:
            for priority in self.priority_steps:
                item = client.rpop(self._q_for_pri(queue, priority))  # type: ignore[attr-defined]  # nor this
                message = self._message_for_celery(queue, item) if item else None
                if message is not None:
                    return message
        raise Empty

    def _message_for_celery(self, queue: str, item: bytes) -> Any:
        """Return the message in `item` if Celery must deliver it, else None."""
        if queue == TASK_QUEUE:
            message = task_door.take(item, settings())
            if task_door.has_waiting():
                with self.conn_or_acquire() as client:
                    task_door.place(client, settings())
            return message
        try:
            return loads(bytes_to_str(item))
        except NO_JSON as error:
            _dropped(type(error).__name__)
            return None

    @retry_after_repair
    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]  # the stubs do not know it
        except OutOfMemoryError:
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            with self.conn_or_acquire() as client:
                write_when_full(client, "SADD", self.keyprefix_queue % exchange, member)

    @retry_after_repair
    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        """Return the exchange's routes; members of its set that are not routes are deleted."""
        key, garbage = self.keyprefix_queue % exchange, []
        routes: list[tuple[str, str, str]] = []
        with self.conn_or_acquire() as client:
            for member in client.smembers(key):
                route = bytes(member).decode("utf-8", "replace").split(self.sep)
                if len(route) == 3 and "\ufffd" not in "".join(route):
                    routes.append((route[0], route[1], route[2]))
                else:
                    garbage.append(member)
            if garbage:
                _dropped(f"{len(garbage)} members of {key} are no routes")
                client.srem(key, *garbage)
        return routes


class Transport(redis.Transport):
    """Drops messages that are not tasks."""

    Channel = Channel

    def _deliver(self, message: Any, queue: Any) -> None:
        fault = _fault(message)
        if fault is not None:
            _dropped(fault)
            return
        try:
            super()._deliver(message, queue)
        except Exception as error:
            # Kombu counts KeyError among connection errors; here the message causes it.
            if isinstance(error, (*self.connection_errors, *self.channel_errors)) and not isinstance(error, KeyError):
                raise
            _dropped(type(error).__name__)
            self._forget(message["properties"]["delivery_tag"])

    def _forget(self, tag: str) -> None:
        """Reject a message that Celery failed on, so that it is not restored later."""
        for channel in self.channels or ():
            if tag in (channel.qos._delivered or ()):
                channel.basic_reject(tag, requeue=False)


class SentinelChannel(Channel, redis.SentinelChannel):
    """`Channel` for servers behind Sentinel."""


class SentinelTransport(Transport):
    """`Transport` for servers behind Sentinel."""

    default_port = 26379
    Channel = SentinelChannel


def _fault(message: Any) -> str | None:
    """Return what would make kombu fail on `message`, without its content; None if nothing would."""
    if not isinstance(message, dict):
        return "not an object"
    properties = message.get("properties")
    if not isinstance(properties, dict) or not isinstance(message.get("headers") or {}, dict):
        return "no properties"
    if not isinstance(properties.get("delivery_tag"), str) or not isinstance(properties.get("delivery_info", {}), dict):
        return "no delivery tag"
    encoding, body = properties.get("body_encoding"), message.get("body")
    if encoding not in (None, "base64") or not isinstance(body, str):
        return "no body"
    if encoding == "base64":
        try:
            base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return "a body that is not base64"
    return None


def _dropped(fault: str) -> None:
    log.warning("A control message of Celery cannot be used", error=fault, next="it is dropped; it holds no document")


def register() -> None:
    """Register these transports for redis://, rediss:// and sentinel:// URLs, in this process."""
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
