"""A naive peer with dramatiq: one actor message a document."""

from __future__ import annotations

import os

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy.exc import OperationalError

from tests.benchmarks.peers.naive import ingest

dramatiq.set_broker(RedisBroker(client=redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])))


@dramatiq.actor(max_retries=20, min_backoff=100, retry_when=lambda _, error: isinstance(error, OperationalError))
def ingest_document(raw: str) -> None:
    ingest(raw)


def publish(raws: list[bytes]) -> None:
    for raw in raws:
        ingest_document.send(raw.decode())


def command() -> list[str]:
    return ["dramatiq", "--processes=2", "--threads=1", __name__]
