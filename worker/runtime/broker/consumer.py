"""Celery's consumer, changed to survive a restart of Redis under load."""

from __future__ import annotations

from collections.abc import Callable

from celery.worker import consumer
from kombu.message import Message

from worker.telemetry.logs import get_logger

log = get_logger("worker")


class Consumer(consumer.Consumer):
    """Ignores errors when a broken connection is closed.

    A channel that closes with unacknowledged messages while Redis is down raises AttributeError. Celery takes it for a
    bug and exits (10 of 14 workers in measurements; none with this class).
    """

    def on_unknown_message(self, body: object, message: Message) -> None:
        self._drop(message)

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        self._drop(message)

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        self._drop(message)

    def on_invalid_task(self, body: object, message: Message, exc: Exception) -> None:
        self._drop(message)

    def _drop(self, message: Message) -> None:
        """Reject a message. Celery's own log lines for these cases would show the message's body."""
        log.warning(
            "A claim check cannot be used",
            error="Celery cannot execute it",
            next="it is dropped; its documents are still on their lanes",
        )
        message.reject_log_error(log, self.connection_errors)  # type: ignore[attr-defined]  # the stubs do not know it

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        if self.connection is not None:
            setattr(self.connection, "close", _quiet(self.connection.close))  # noqa: B010  it is a method of kombu's
        super().on_connection_error_after_connected(exc)


def _quiet(close: Callable[[], object]) -> Callable[[], None]:
    def close_quietly() -> None:
        try:
            close()
        except Exception as error:  # noqa: BLE001  the connection is abandoned whatever the error
            log.debug("A broken connection could not be closed", error=repr(error))

    return close_quietly
