"""The Celery application: `celery -A worker.runtime.app worker` works as Celery users expect.

Celery gives the process pool, time limits, recycling of children, remote control and many machines. Its messages are
claim checks (ids on a stream), never documents: losing or doubling one is harmless, so `ingest` is acknowledged early
and never redelivered by Celery (its redelivery would renew the lease of a document that kills its process, for ever).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from typing import Any
from urllib.parse import quote

from celery import Celery, signals
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from schemas import kinds
from worker.enrichment import language
from worker.queue.connection import SOCKET_OPTIONS, connect, sentinel_address
from worker.runtime.broker import console_output, transport
from worker.runtime.dispatch.dispatcher import Dispatcher
from worker.runtime.supervision.linker_process import Linking
from worker.runtime.supervision.minute_summary import Summary
from worker.runtime.supervision.supervision_loop import Supervision
from worker.settings import Settings, settings
from worker.telemetry import failpoints, logs

QUEUE = "copydesk"


def broker_url(config: Settings) -> str:
    """The Redis URL as kombu spells it."""
    address = sentinel_address(config.redis)
    if address is not None:
        user, password = (quote(str(address.server.get(name, "")), safe="") for name in ("username", "password"))
        credentials = f"{user}:{password}@" if user or password else ""
        database = address.server["db"]
        return ";".join(f"sentinel://{credentials}{host}:{port}/{database}" for host, port in address.hosts)
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
        # None is taken that no pool process is free for: what a main process holds when it is killed waits for the lease, and
        # one that loses its connection has to put it back. By count of messages (1) the consumer sticks at the second or third
        # network loss (measured); this looks at the pool itself.
        "worker_prefetch_multiplier": 0,
        "worker_disable_prefetch": True,
        "worker_concurrency": config.concurrency,
        "worker_max_tasks_per_child": 10_000,
        "worker_max_memory_per_child": 400_000,  # KiB; a leak ends here
        "worker_consumer": "worker.runtime.broker.consumer:Consumer",
        "worker_pool": "worker.runtime.pool:TaskPool",
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
            **_sentinel_options(config),
        },
        **_sentinel_tls(config),
    }


def _sentinel_options(config: Settings) -> dict[str, Any]:
    address = sentinel_address(config.redis)
    if address is None:
        return {}
    wanted = {**address.sentinel, **SOCKET_OPTIONS, "retry": Retry(NoBackoff(), 0)}  # another Sentinel is asked instead
    return {"master_name": address.service, "sentinel_kwargs": wanted}


def _sentinel_tls(config: Settings) -> dict[str, Any]:
    """A sentinel:// URL cannot say that the servers behind it speak TLS; the Sentinels' own is among `sentinel_kwargs`."""
    address = sentinel_address(config.redis)
    if address is None or not address.server.get("ssl"):
        return {}
    options = {name: value for name, value in address.server.items() if name.startswith("ssl_")}
    return {"broker_use_ssl": {"ssl_cert_reqs": "required", **options}}


transport.register()
app = Celery("copydesk", include=["worker.runtime.tasks"])
app.config_from_object(configuration(settings()))
app.steps["worker"].add(Dispatcher)
app.steps["worker"].add(Supervision)
app.steps["worker"].add(Summary)
app.steps["worker"].add(Linking)

_GARBAGE_OBJECTS = 20_000
"""New objects between two looks of the collector at the youngest; at Python's 700 it looks many times in each batch."""


@signals.worker_init.connect
def _repair_broker(**_: object) -> None:
    try:
        with connect(settings().redis) as client:
            transport.repair_keys(client)
    except RedisError:
        return  # not reachable yet: Celery waits for it, and the dispatcher tries again


@signals.worker_init.connect
def _load_models(**_: object) -> None:
    language.load()
    kinds.build()


@signals.worker_process_init.connect
def _collect_less(**_: object) -> None:
    """What was loaded before the fork is never garbage, and batches leave hardly any cycles: look for them seldom."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 20)


_LARGE_BYTES = 128 << 10
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


@signals.worker_process_init.connect
def _give_memory_back(**_: object) -> None:
    """Large blocks go back to the system; left alone, glibc raises its mark with the first one freed and keeps the rest."""
    with contextlib.suppress(AttributeError):  # no glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _LARGE_BYTES)


@signals.worker_process_shutdown.connect
def _exit_immediately(exitcode: int = 0, **_: object) -> None:
    """A pool process that is done leaves now; billiard would let it sleep a second for a signal that ends it sooner.

    Everything it had to say has been received by then (billiard waits for that before).
    """
    sys.stderr.flush()
    os._exit(exitcode)


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    config = settings()
    logs.configure_for(config)
    console_output.as_log_lines(config)
    failpoints.announce()


@signals.worker_ready.connect
def _log_ready(**_: object) -> None:
    lanes = ", ".join(lane.name for lane in settings().lane_list)
    logs.get_logger("worker").info("The worker is ready", lane=lanes)
