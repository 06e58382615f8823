"""Repairs the keys of Celery's broker in Redis, which anybody with access to Redis can overwrite."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from kombu.transport import redis
from redis import Redis
from redis.exceptions import ResponseError

from worker.queue.replies import text
from worker.telemetry.logs import get_logger

log = get_logger("worker")

_P = ParamSpec("_P")
_R = TypeVar("_R")

TASK_QUEUE = "copydesk"
_EXCHANGES = (TASK_QUEUE, "celeryev", "celery.pidbox", "reply.celery.pidbox")
_KEYS = {
    **{TASK_QUEUE + (f"{redis.Channel.sep}{step}" if step else ""): "list" for step in redis.PRIORITY_STEPS},
    **{redis.Channel.keyprefix_queue % exchange: "set" for exchange in _EXCHANGES},
    **{f"_kombu.binding_permanent.{exchange}": "set" for exchange in _EXCHANGES},
    "_kombu.binding_deadlines": "zset",
}


def repair_keys(client: Redis) -> None:
    """Delete broker keys that have the wrong type. No command works on them, and they hold nothing of value."""
    for key, expected in _KEYS.items():
        actual = text(client.type(key))
        if actual not in ("none", expected):
            log.warning(
                "A key of Celery's broker had the wrong type",
                error=f"{key} was a {actual}",
                next="it is deleted",
            )
            client.delete(key)


def retry_after_repair(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a method of kombu's: on WRONGTYPE, repair the broker's keys and try once more."""

    @functools.wraps(method)
    def retried(*args: _P.args, **options: _P.kwargs) -> _R:
        try:
            return method(*args, **options)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            channel: Any = args[0]
            with channel.conn_or_acquire() as client:
                repair_keys(client)
            return method(*args, **options)

    return retried
