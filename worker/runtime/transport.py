"""Celery's Redis transport, made to survive whatever lies on its keys.

Kombu takes every message on its list for its own: raw text, `[]`, `null`, a truncated envelope or one without an id ends
the worker's main process or sends it into endless reconnects (12 forms, measured). Here such a message is dropped with
a log line. No document is in danger: Celery carries claim checks only.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.utils.json import dumps
from redis.exceptions import OutOfMemoryError

from worker.observe.logs import get_logger

log = get_logger("worker")


# A claim check is small and leads to room being made, so it goes through where no document does.
_PUSH = "#!lua flags=allow-oom\nreturn redis.call('LPUSH', KEYS[1], ARGV[1])"

_BIND = "#!lua flags=allow-oom\nreturn redis.call('SADD', KEYS[1], ARGV[1])"


class QoS(redis.QoS):
    """Does without the record of what is under way where there is no room for it: a claim check may be lost."""

    def append(self, message: Any, delivery_tag: Any) -> None:
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            virtual.QoS.append(self, message, delivery_tag)

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Called every second; without room for its lock it waits."""
        with contextlib.suppress(OutOfMemoryError):
            super().restore_visible(*args, **options)


class Channel(redis.Channel):
    """Drops messages that are not JSON, and works in a server that is full."""

    QoS = QoS

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]  # the stubs do not know it
        except OutOfMemoryError:
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            with self.conn_or_acquire() as client:
                client.eval(_BIND, 1, self.keyprefix_queue % exchange, member)

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        try:
            super()._put(queue, message, **options)
        except OutOfMemoryError:
            priority = self._get_message_priority(message, reverse=False)
            with self.conn_or_acquire() as client:
                key = self._q_for_pri(queue, priority)  # type: ignore[attr-defined]  # the stubs do not know it
                client.eval(_PUSH, 1, key, dumps(message))

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # the stubs do not know it
        except ValueError as error:
            _dropped(error)
            raise Empty from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            return super()._get(queue)
        except ValueError as error:
            _dropped(error)
            raise Empty from error


class Transport(redis.Transport):
    """Drops messages that are no task."""

    Channel = Channel

    def _deliver(self, message: Any, queue: Any) -> None:
        fault = _fault(message, is_task=queue == "copydesk")
        if fault is None:
            super()._deliver(message, queue)
        else:
            _dropped(fault)


def _fault(message: Any, *, is_task: bool) -> str | None:
    """What would make kombu or Celery stumble over `message`."""
    if not isinstance(message, dict):
        return "not an object"
    properties, headers = message.get("properties"), message.get("headers") or {}
    if not isinstance(properties, dict) or not isinstance(headers, dict):
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
    if is_task and not all(isinstance(headers.get(name), str) for name in ("task", "id")):
        return "no task id"
    return None


def _dropped(fault: object) -> None:
    log.warning(
        "A message on Celery's queue is not one of ours", error=str(fault), next="it is dropped; no document is in it"
    )


def register() -> None:
    """Let redis:// and rediss:// URLs mean this transport, in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


_KEYS = {"copydesk": b"list", "unacked": b"hash", "unacked_index": b"zset", "_kombu.binding.copydesk": b"set"}


def mend_keys(client: Any) -> None:
    """Delete keys of the broker that hold something else: no command on them works, and nothing of value is in them."""
    for key, expected in _KEYS.items():
        found = client.type(key)
        if found not in (b"none", expected):
            log.warning(
                "A key of Celery's broker held something else",
                error=f"{key} was a {found.decode()}",
                next="it is deleted",
            )
            client.delete(key)
