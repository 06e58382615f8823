"""What a process opens once: the store, Redis, the queues of the lanes and the rules of heat."""

from __future__ import annotations

import functools
import os
import socket

import redis
from sqlalchemy import Engine

from worker.heat_rules import AllRules
from worker.queue.connection import connect
from worker.queue.lease_queue import LeaseQueue
from worker.settings import settings
from worker.store.engine import make_engine


@functools.cache
def engine() -> Engine:
    """Return the engine of the store."""
    return make_engine(settings(), repeats=True)


@functools.cache
def client() -> redis.Redis:
    """Return the client of Redis."""
    return connect(settings().redis)


@functools.cache
def queue(lane: str) -> LeaseQueue:
    """Return the lease queue of a lane."""
    return LeaseQueue(client(), lane)


@functools.cache
def rules() -> AllRules:
    """Return the rules of heat, which are read from their file once."""
    return settings().heat_rules


def worker_name() -> str:
    """Return the name of this pool process, as receipts, leases and logs show it."""
    return f"{socket.gethostname()}:{os.getpid()}"
