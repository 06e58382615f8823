"""A peer with FastStream on a Redis Stream, in batches, with the multi-row upserts of `batches`; two processes of one
group.
"""

from __future__ import annotations

import asyncio
import os
import time

import redis
from faststream import FastStream
from faststream.redis import BinaryMessageFormatV1, RedisBroker, StreamSub
from sqlalchemy.exc import OperationalError

from tests.benchmarks.peers import batches

BATCH = 200
url = os.environ["BENCH_REDIS_URL"]
broker = RedisBroker(url, message_format=BinaryMessageFormatV1)
app = FastStream(broker)
client = redis.Redis.from_url(url)
lane = StreamSub(
    "documents", group="bench", consumer=f"worker-{os.getpid()}", batch=True, max_records=BATCH, polling_interval=100
)


@app.on_startup
async def start_worker() -> None:
    batches.collect_less()


@broker.subscriber(stream=lane)
async def ingest_batch(raws: list[bytes]) -> None:
    # The database driver blocks; nothing else runs in this process in the meantime.
    while True:
        try:
            await asyncio.to_thread(batches.ingest, [raw.decode() for raw in raws])
            break
        except OperationalError:
            time.sleep(0.1)
    client.incrby("bench:done", len(raws))


def prepare() -> None:
    """Create the group at the start of the stream. FastStream begins at new entries, and would skip those published
    before a worker runs.
    """
    client.xgroup_create("documents", "bench", id="0", mkstream=True)


def publish(raws: list[bytes]) -> None:
    async def send() -> None:
        async with RedisBroker(url, message_format=BinaryMessageFormatV1) as producer:
            for start in range(0, len(raws), 100):
                await asyncio.gather(*(producer.publish(raw, stream="documents") for raw in raws[start : start + 100]))

    asyncio.run(send())


def command() -> list[str]:
    return ["faststream", "run", "--workers", "2", f"{__name__}:app"]
