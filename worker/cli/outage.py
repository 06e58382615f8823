"""What `copydesk status` shows while Redis cannot be used: what the store knows, the cause, and what to do."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from worker.cli.exits import print_message
from worker.cli.local_stack import ServersNotStarted, open_store, why_no_answer
from worker.monitoring.alarms import redis_outage
from worker.monitoring.servers.server_state import unreachable_redis
from worker.monitoring.snapshot import read_store
from worker.monitoring.status import Snapshot, StoreStatus, Unreachable
from worker.queue.connection_faults import connection_fault
from worker.settings import Settings
from worker.telemetry.redaction import mask

_STORE_SECONDS = 1.0
"""How long to wait for the store, which may hang too: the command answers within three seconds."""


def snapshot_without_redis(config: Settings, error: Exception) -> Snapshot:
    """Return the snapshot of the store alone. A client of Redis raised `error`."""
    outage = unreachable_redis(config.redis, error)
    if config.redis_url is None:
        outage = replace(outage, error=why_no_answer(config, error)[0].rstrip("."))
    return Snapshot(redis=outage, store=_read_store(config))


def print_remedy(config: Settings, error: Exception, snapshot: Snapshot) -> None:
    """Print to stderr what `error` means for documents, and what to do."""
    if isinstance(snapshot.redis, Unreachable):
        print_message(f"copydesk: {mask(redis_outage(snapshot.redis, snapshot.store))}")
    embedded = why_no_answer(config, error)[1:] if config.redis_url is None else []
    for line in embedded or [connection_fault(config.redis, error).remedy]:
        print_message(f"          {mask(line)}")


def _read_store(config: Settings) -> StoreStatus:
    results: queue.SimpleQueue[StoreStatus] = queue.SimpleQueue()

    def read() -> None:
        try:
            results.put(read_store(open_store(config), is_linking=config.link))
        except ServersNotStarted as missing:
            results.put(_without_store(str(missing).splitlines()[0]))

    threading.Thread(target=read, daemon=True).start()
    try:
        return results.get(timeout=_STORE_SECONDS)
    except queue.Empty:
        return _without_store(f"no answer within {_STORE_SECONDS:g} s")


def _without_store(error: str) -> StoreStatus:
    return StoreStatus({}, {}, 0, (), Unreachable(error=error))
