"""The Celery application: `celery -A worker.runtime.app worker` works as Celery users expect.

Celery provides the process pool, time limits, recycling of children, remote control and many machines. Its messages are
claim checks (ids of stream entries), never documents, so a lost or doubled message is harmless. Therefore `ingest` is
acknowledged early and Celery never redelivers it: a redelivery would renew the lease of a document that kills its
process, forever.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from urllib.parse import quote

from celery import Celery, signals
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from schemas import kinds
from worker.enrichment import language
from worker.queue.connection import SOCKET_OPTIONS, connect, sentinel_address
from worker.runtime.broker import console_output, transport
from worker.runtime.broker.key_repair import repair_keys
from worker.runtime.dispatch.dispatcher import Dispatcher
from worker.runtime.supervision.linker_process import Linking
from worker.runtime.supervision.minute_summary import Summary
from worker.runtime.supervision.supervision_loop import Supervision
from worker.settings import Settings, settings
from worker.telemetry import failpoints, logs

QUEUE = "copydesk"


def broker_url(config: Settings) -> str:
    """Return the Redis URL of `config` in the form that kombu expects."""
    address = sentinel_address(config.redis)
    if address is not None:
        user, password = (quote(str(address.server.get(name, "")), safe="") for name in ("username", "password"))
        credentials = f"{user}:{password}@" if user or password else ""
        database = address.server["db"]
        return ";".join(f"sentinel://{credentials}{host}:{port}/{database}" for host, port in address.hosts)
    return config.redis.replace("unix://", "redis+socket://", 1)


def configuration(config: Settings) -> dict[str, object]:
    """Return Celery's settings for `config`."""
    return {
        "broker_url": broker_url(config),
        "task_default_queue": QUEUE,
        # No pickle: everyone who can reach Redis could run code with it.
        "task_serializer": "json",
        "accept_content": ["json"],
        # The outcomes are in the store.
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_time_limit": config.task_seconds,
        # A task is fetched only when a pool process is idle. A prefetched task waits until its lease expires if the
        # main process is killed, and must be put back if the connection is lost. A prefetch count of 1 made the
        # consumer hang at the second or third network loss (measured), so `Consumer` checks the pool itself.
        "worker_prefetch_multiplier": 0,
        "worker_disable_prefetch": True,
        "worker_concurrency": config.concurrency,
        "worker_max_tasks_per_child": 10_000,
        "worker_max_memory_per_child": 400_000,  # KiB; bounds a memory leak
        "worker_consumer": "worker.runtime.broker.consumer:Consumer",
        "worker_pool": "worker.runtime.pool:TaskPool",
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_detect_quorum_queues": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Without these options a silent network loss is not noticed (measured: survived 0 of 11; with them, all).
        "broker_transport_options": {
            "socket_timeout": 8,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 5,
            # Kombu keeps no record of unacknowledged messages in Redis: a lost claim check is harmless. The record took
            # two round trips of the main process for each message, 0.8 ms of them before the pool got it.
            "ack_emulation": False,
            **_sentinel_options(config),
        },
        **_sentinel_tls(config),
    }


def _sentinel_options(config: Settings) -> dict[str, object]:
    address = sentinel_address(config.redis)
    if address is None:
        return {}
    options = {**address.sentinel, **SOCKET_OPTIONS, "retry": Retry(NoBackoff(), 0)}  # no retries: ask another Sentinel
    return {"master_name": address.service, "sentinel_kwargs": options}


def _sentinel_tls(config: Settings) -> dict[str, object]:
    """Return the TLS options of the servers behind Sentinel, which a sentinel:// URL cannot express.

    The TLS options of the Sentinels themselves are in `sentinel_kwargs`.
    """
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
"""Allocations between two collections of the youngest generation.

Python's default of 700 causes many collections a batch.
"""


@signals.worker_init.connect
def _repair_broker(**_: object) -> None:
    try:
        with connect(settings().redis) as client:
            repair_keys(client)
    except RedisError:
        return  # not reachable yet: Celery waits for Redis, and the dispatcher repairs the keys later


@signals.worker_init.connect
def _load_models(**_: object) -> None:
    language.load()
    kinds.build()


@signals.worker_process_init.connect
def _collect_less(**_: object) -> None:
    """Make garbage collection rare: what was loaded before the fork is never garbage, and batches leave few cycles."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 20)


@signals.worker_process_init.connect
def _compute_in_long_slices(**_: object) -> None:
    """Let a pool process interrupt no other when it wakes up (`SCHED_BATCH` of Linux): it computes for milliseconds anyway.

    So the database and the process that holds the writer lock are interrupted less. Three processes on two cores store
    6 % more documents (three runs in turn).
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or not permitted
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


_LARGE_BYTES = 2 << 20
"""Blocks of this size are given back to the system when they are freed.

With 128 KiB, 9 more page faults a document: the buffers of each batch were new memory every time. With 8 MiB a process
kept up to three megabytes more.
"""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt


@signals.worker_process_init.connect
def _give_memory_back(**_: object) -> None:
    """Make malloc return large blocks to the system.

    By default glibc raises its mmap threshold when the first large block is freed, and then keeps later ones.
    """
    with contextlib.suppress(AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _LARGE_BYTES)


@signals.worker_process_shutdown.connect
def _exit_immediately(exitcode: int = 0, **_: object) -> None:
    """End a pool process at once: billiard would let it sleep for up to a second until a signal ends it.

    Billiard has waited until the main process received all results of this process, so none is lost.
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
