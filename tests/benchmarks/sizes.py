"""Measure the resources of a document: bytes on disk by table, of write-ahead log, of Redis while it waits, and of
network.

`python -m tests.benchmarks.sizes FOLDER` with a collection of documents. The figures of worker/deploy/PRODUCTION.md
come from it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy import text

from tests.support.postgres import Postgres
from tests.support.servers import Valkey
from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.producer.input_files import read_paths
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade

_BATCH = 100
_TABLES = """
SELECT c.relname, c.reltuples, pg_table_size(c.oid), pg_indexes_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
WHERE c.relkind = 'r' AND pg_total_relation_size(c.oid) > 100000 ORDER BY pg_total_relation_size(c.oid) DESC
"""


@dataclass(slots=True)
class Round:
    """A collection stored once more: either all documents are new, or all are updates."""

    name: str
    bytes_by_table: dict[str, float]
    wal: float
    documents: int

    def tell(self) -> None:
        total = sum(self.bytes_by_table.values())
        print(f"{self.name}: disk {total / self.documents:,.0f} bytes a document, "
              f"write-ahead log {self.wal / self.documents:,.0f}")  # fmt: skip
        for table, size in self.bytes_by_table.items():
            if size > total / 100:
                print(f"  {table:<18} {size / self.documents:>9,.0f}")


def main(folder: str) -> None:
    documents = [one for one in read_paths([folder], source="sizes") if one.raw]
    sent = sum(len(one.raw or b"") for one in documents)
    print(f"{len(documents):,} documents of {sent / len(documents):,.0f} bytes")
    _of_redis(documents)
    server = Postgres({"fsync": "off"})
    try:
        with server.database() as url:
            _of_postgresql(url, documents)
    finally:
        server.stop()


def _of_redis(documents: list) -> None:
    server = Valkey(fsync="no").start()
    try:
        with server.client() as client:
            before = _used(client)
            for one in documents:
                client.xadd("documents", {"raw": one.raw, "source": "sizes", "key": one.key or ""})
            print(f"Redis, while it waits: {(_used(client) - before) / len(documents):,.0f} bytes of memory a document")
    finally:
        server.stop()


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _of_postgresql(url: str, documents: list) -> None:
    config = Settings(database_url=url, data_dir=Path("/nonexistent"))
    upgrade(config)
    engine = make_engine(config)
    sizes: dict[str, float] = {}
    for number, name in enumerate(("all new", "all updated (another title)", "all unchanged (another secured)")):
        with engine.connect() as connection:
            start = connection.scalar(text("SELECT pg_current_wal_insert_lsn()"))
        entries = []
        for place, one in enumerate(documents):
            raw = _varied(one.raw, number)
            fields = {b"raw": raw, b"source": b"sizes", b"key": (one.key or "").encode()}
            entries.append(
                Claimed(f"{1_700_000_000_000 + number * 10_000_000 + place}-0", 0, 0, fields, truncated=False)
            )
        for first in range(0, len(entries), _BATCH):
            batch = Batch("documents", None, "host:1", 3, Limits())
            process(engine, batch, entries[first : first + _BATCH], end_attempt=lambda: None)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            wal = connection.scalar(
                text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :start)"), {"start": start}
            )
            connection.execute(text("VACUUM ANALYZE"))
            now = {row[0]: float(row[2] + row[3]) for row in connection.execute(text(_TABLES))}
        Round(name, {table: size - sizes.get(table, 0) for table, size in now.items()}, float(wal), len(entries)).tell()
        sizes = now
    engine.dispose()


def _varied(raw: bytes, number: int) -> bytes:
    if number == 1:
        return raw.replace(b"\ntitle: ", b"\ntitle: Now ", 1)
    if number == 2:
        varied = raw.replace(b"\ntitle: ", b"\ntitle: Now ", 1)
        head, secured, rest = varied.partition(b"\nsecured: ")
        return (
            head + b"\nsecured: " + b"AAAA" + rest[4:]
            if secured and rest[:1] != b'"'
            else head + b'\nsecured: "AAAA' + rest[5:]
            if secured
            else varied
        )
    return raw


if __name__ == "__main__":
    main(sys.argv[1])
