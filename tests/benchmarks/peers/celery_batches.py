"""A peer with Celery by common best practice: the producer sends batches of documents, and a task stores one batch."""

from __future__ import annotations

import os

import redis
from celery import Celery, signals
from sqlalchemy.exc import OperationalError

from tests.benchmarks.peers import batches

BATCH = 200
app = Celery("batches", broker=os.environ["BENCH_REDIS_URL"].replace("unix://", "redis+socket://"))
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)
client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
signals.worker_process_init.connect(lambda **_: batches.collect_less(), weak=False)


@app.task(autoretry_for=(OperationalError,), max_retries=None, default_retry_delay=0.1)
def ingest_batch(raws: list[str]) -> None:
    batches.ingest(raws)
    client.incrby("bench:done", len(raws))


def publish(raws: list[bytes]) -> None:
    for start in range(0, len(raws), BATCH):
        ingest_batch.delay([raw.decode() for raw in raws[start : start + BATCH]])


def command() -> list[str]:
    return ["celery", "-A", __name__, "worker", "--concurrency=2", "--loglevel=WARNING"]
