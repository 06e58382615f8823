"""The Celery application: `celery -A worker.runtime.app worker` works as Celery users expect.

Celery gives the process pool, time limits, recycling of children, remote control and many machines. Its messages are
claim checks (ids on a stream), never documents: losing or doubling one is harmless, so `ingest` is acknowledged early
and never redelivered by Celery (its redelivery would renew the lease of a document that kills its process, for ever).
"""

from __future__ import annotations

from typing import Any

from celery import Celery, signals
from redis import RedisError

from worker.enrich import language
from worker.intake.connect import connect
from worker.observe import logs
from worker.runtime import transport
from worker.runtime.dispatcher import Dispatcher
from worker.settings import Settings, settings

QUEUE = "copydesk"


def broker_url(config: Settings) -> str:
    """The Redis URL as kombu spells it."""
    return config.redis.replace("unix://", "redis+socket://", 1)


def configuration(config: Settings) -> dict[str, Any]:
    """Celery's settings, each with its reason."""
    return {
        "broker_url": broker_url(config),
        "task_default_queue": QUEUE,
        # No pickle: whoever can reach Redis could run code with it.
        "task_serializer": "json",
        "accept_content": ["json"],
        # Outcomes are in the store.
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_time_limit": config.task_seconds,
        # 0: take claim checks as they come. With 1 the consumer sticks at the second or third network loss (measured).
        "worker_prefetch_multiplier": 0,
        "worker_concurrency": config.concurrency,
        "worker_max_tasks_per_child": 10_000,
        "worker_max_memory_per_child": 400_000,  # KiB; a leak ends here
        "worker_consumer": "worker.runtime.consumer:Consumer",
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_detect_quorum_queues": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # With these a silent network loss is noticed and survived (measured: 0 of 11 without, all with).
        "broker_transport_options": {
            "socket_timeout": 8,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
    }


transport.register()
app = Celery("copydesk", include=["worker.runtime.tasks"])
app.config_from_object(configuration(settings()))
app.steps["worker"].add(Dispatcher)


@signals.worker_init.connect
def _mend_broker(**_: object) -> None:
    try:
        with connect(settings().redis) as client:
            transport.mend_keys(client)
    except RedisError:
        return  # not reachable yet: Celery waits for it, and the dispatcher tries again


@signals.worker_init.connect
def _load_models(**_: object) -> None:
    language.load()


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    config = settings()
    logs.configure(form=config.log_format, level=config.log_level)
