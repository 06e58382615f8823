"""A naive peer with Celery: one task a document."""

from __future__ import annotations

import os

from celery import Celery
from sqlalchemy.exc import OperationalError

from tests.benchmarks.peers.naive import ingest

app = Celery("afternoon", broker=os.environ["BENCH_REDIS_URL"].replace("unix://", "redis+socket://"))
app.conf.update(task_ignore_result=True, task_acks_late=True)


@app.task(autoretry_for=(OperationalError,), max_retries=None, default_retry_delay=0.1)
def ingest_document(raw: str) -> None:
    ingest(raw)


def publish(raws: list[bytes]) -> None:
    for raw in raws:
        ingest_document.delay(raw.decode())


def command() -> list[str]:
    return ["celery", "-A", __name__, "worker", "--concurrency=2", "--loglevel=WARNING"]
