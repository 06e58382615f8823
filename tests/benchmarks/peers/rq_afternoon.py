"""A naive peer with RQ: one job a document, in two workers that do not fork for each job (RQ's `SimpleWorker`)."""

from __future__ import annotations

import os

import redis
from rq import Queue, Retry

from tests.benchmarks.peers.naive import ingest


def publish(raws: list[bytes]) -> None:
    with redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]) as client:
        queue = Queue(connection=client)
        for start in range(0, len(raws), 100):
            jobs = [
                Queue.prepare_data(ingest, (raw.decode(),), result_ttl=0, retry=Retry(max=20))
                for raw in raws[start : start + 100]
            ]
            queue.enqueue_many(jobs)


def command() -> list[str]:
    return ["rq", "worker-pool", "--num-workers=2", "--worker-class=rq.SimpleWorker", "--logging-level=WARNING",
            f"--url={os.environ['BENCH_REDIS_URL']}"]  # fmt: skip
