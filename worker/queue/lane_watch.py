"""Waits until a lane changes, so that a document need not wait for the next poll.

Redis (6 and newer, and Valkey) remembers which keys a connection has read, and announces the next change of each key once
(`CLIENT TRACKING`, made for caches in clients). A poll reads the lanes' keys. So the next XADD of any producer is announced,
and so is a settlement or a pause. An announcement holds the key's name, never the document, and one poll causes one
announcement a key at most.
"""

from __future__ import annotations

import time

import redis
from redis.client import PubSub
from redis.connection import AbstractConnection

from worker.queue.connection import connect
from worker.telemetry.logs import get_logger

log = get_logger("dispatch")

_CHANNEL = "__redis__:invalidate"
_RETRY_SECONDS = 10.0
_SUBSCRIBE_SECONDS = 3.0


class LaneWatch:
    """Watches the keys that the commands of `client` read. Only one thread may use both.

    A server, a proxy or its rules may refuse that. Then `is_active` is False, and the lanes must be polled more often.
    """

    def __init__(self, url: str) -> None:
        self.client = connect(url, on_connect=self._prepare)
        # Without retries: a connection that is opened again has another id. In version 2 of the protocol announcements
        # are messages of a channel, which can be awaited on a connection of their own.
        self._listener = connect(url, retries=0, protocol=2)
        self._subscription: PubSub | None = None
        self._next_start = 0.0
        self._is_refusal_logged = False

    @property
    def is_active(self) -> bool:
        """Whether the server announces changes."""
        return self._subscription is not None

    def start(self) -> None:
        """Start watching, unless it is active or was started in the last ten seconds. Raises redis.RedisError."""
        if self.is_active or time.monotonic() < self._next_start:
            return
        self._next_start = time.monotonic() + _RETRY_SECONDS
        subscription: PubSub = self._listener.pubsub()  # type: ignore[no-untyped-call]  # redis-py's
        try:
            subscription.execute_command("CLIENT", "ID")  # type: ignore[no-untyped-call]  # nor this
            listener = int(subscription.parse_response())  # type: ignore[no-untyped-call]  # nor this
            subscription.subscribe(_CHANNEL)
            is_subscribed = subscription.get_message(timeout=_SUBSCRIBE_SECONDS) is not None
            self.client.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", listener, "NOLOOP")  # type: ignore[no-untyped-call]  # nor this
        except redis.ResponseError as error:
            subscription.close()
            if not self._is_refusal_logged:
                self._is_refusal_logged = True
                log.info("Redis does not announce changes", error=str(error), next="the lanes are polled more often")
            return
        if is_subscribed:
            self._subscription = subscription

    def wait(self, seconds: float) -> None:
        """Return when a key has changed that `client` has read since, or after `seconds`. Forgets earlier changes."""
        if self._subscription is None:
            time.sleep(seconds)
            return
        try:
            announced = self._subscription.get_message(timeout=seconds)
            while announced:
                announced = self._subscription.get_message(timeout=0)
        except redis.RedisError:
            self._end()  # the next poll finds out whether Redis answers, and `start` begins anew

    def close(self) -> None:
        """Close all connections."""
        self._end()
        self._listener.close()
        self.client.close()

    def _prepare(self, connection: AbstractConnection) -> None:
        """Prepare a new connection of `client`: the server does not watch what this one reads."""
        connection.on_connect()  # type: ignore[no-untyped-call]  # redis-py's
        self._end()

    def _end(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
