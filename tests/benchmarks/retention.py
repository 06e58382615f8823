"""Measure what it costs to delete old receipts on PostgreSQL: by DELETE in slices, and by dropping a partition.

`python -m tests.benchmarks.retention [ROWS]`: fills `receipts` and `raw_documents` with ROWS old rows (1,000,000) and a
fifth
as many live documents, deletes the old rows, and prints the longest slice, the rate, the size of the write-ahead log,
and the
cost of a metrics scrape during the deletion.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, event, text

from tests.support.postgres import Postgres
from tests.support.servers import Valkey
from worker.jobs.retention import RETENTION_RULES, prune
from worker.monitoring.exporter import CopydeskCollector
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade

_RECEIPTS = """
INSERT INTO receipts (lane, id, outcome, op, source, key, url, article_id, document_id, raw_sha256, problems, changed,
  received_at, settled_at, worker, attempts, timings)
SELECT 'documents', (1700000000000 + n)::text || '-0', 'updated', 'put', 'crawler', 'stories/' || n || '.md',
  'https://www.paper.example/news/' || n, n, n, sha256(n::text::bytea), '[]', '["title"]',
  now() - interval '200 days' + n * interval '1 ms', now() - interval '200 days' + (n / 100) * interval '100 ms', 'host:1', 1,
  '{"read": 1.2, "recognise": 2.3, "parse": 12.5, "enrich": 8.1, "turn": 0.4, "store": 30.1}'
FROM generate_series(1, :rows) n
"""
_RAW = """
INSERT INTO raw_documents (sha256, size, bytes, last_seen_at)
SELECT sha256(n::text::bytea), 3000, convert_to(repeat(md5(n::text), 20), 'UTF8'), now() - interval '200 days' + n * interval '1 ms'
FROM generate_series(1, :rows) n
"""
_DOCUMENTS = """
INSERT INTO documents (doc_hash, source, key, revision, retracted, raw_sha256, changed_at)
SELECT substr(sha256(('d' || n)::bytea), 1, 16), 'crawler', 'stories/' || n, 'r', false, sha256((n * 5)::text::bytea), now()
FROM generate_series(1, :rows / 5) n
"""


def main(rows: int) -> None:
    server = Postgres({"fsync": "off"})
    try:
        with server.database() as url:
            config = Settings(database_url=url, data_dir=Path("/nonexistent"))
            upgrade(config)
            engine = make_engine(config)
            _fill(engine, rows)
            _scrape(config, engine)
            _prune(engine, config)
            _partition(engine, rows)
            engine.dispose()
    finally:
        server.stop()


def _fill(engine: Engine, rows: int) -> None:
    began = time.monotonic()
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in (_RECEIPTS, _RAW, _DOCUMENTS):
            connection.execute(text(statement), {"rows": rows})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        size = connection.scalar(text("SELECT pg_total_relation_size('receipts')"))
        print(f"filled in {time.monotonic() - began:.0f} s; a receipt takes {size / rows:,.0f} bytes")


def _scrape(config: Settings, engine: Engine) -> None:
    server = Valkey(fsync="no").start()
    try:
        with server.client() as client:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(CopydeskCollector(config, client, engine))
            generate_latest(registry)
            taken, busy = [], _cpu(engine) + time.process_time()
            for _ in range(20):
                began = time.perf_counter()
                generate_latest(registry)
                taken.append(time.perf_counter() - began)
            busy = _cpu(engine) + time.process_time() - busy
        print(
            f"a scrape: median {sorted(taken)[10] * 1000:.1f} ms, longest {max(taken) * 1000:.1f} ms, CPU {busy / 20 * 1000:.1f} ms"
        )
    finally:
        server.stop()


def _prune(engine: Engine, config: Settings) -> None:
    turns: list[float] = []
    started: dict[int, float] = {}

    @event.listens_for(engine, "after_cursor_execute")
    def _entered(connection, _cursor, statement, *_):
        if "pg_advisory_xact_lock" in statement:
            started[id(connection)] = time.perf_counter()

    @event.listens_for(engine, "commit")
    def _left(connection):
        began = started.pop(id(connection), None)
        if began is not None:
            turns.append(time.perf_counter() - began)

    with engine.connect() as connection:
        start = connection.scalar(text("SELECT pg_current_wal_insert_lsn()"))
    gone = {"receipts": 0, "raw documents": 0}
    spent = dict.fromkeys(gone, 0.0)
    last = used = 0.0

    def progress(rule: str, rows: int) -> None:
        nonlocal last
        now = time.monotonic()
        gone[rule] += rows
        spent[rule] += now - last
        last = now

    for number in (0, 2):  # each for at most a minute
        busy = _cpu(engine) + time.process_time()
        last, start_at = (
            time.monotonic(),
            [RETENTION_RULES[number].name, "2000-01-01T00:00:00+00:00", *(("", "") if not number else ("",))],
        )
        prune(engine, config, seconds=60, resume=json.dumps(start_at), progress=progress)
        used += _cpu(engine) + time.process_time() - busy
    with engine.connect() as connection:
        wal = connection.scalar(text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :start)"), {"start": start})
    for rule, rows in gone.items():
        print(f"{rule}: {rows:,} in {spent[rule]:.0f} s, {rows / max(spent[rule], 1e-9):,.0f} a second with the rests")
    print(f"CPU {used / sum(gone.values()) * 1e6:,.0f} µs a row, PostgreSQL's and ours")
    print(f"{len(turns):,} turns: median {sorted(turns)[len(turns) // 2] * 1000:.1f} ms, 99 % "
          f"{sorted(turns)[int(len(turns) * 0.99)] * 1000:.1f}, longest {max(turns) * 1000:.1f}; log {wal / sum(gone.values()):,.0f} bytes a row")  # fmt: skip


def _cpu(engine: Engine) -> float:
    """Return the CPU seconds of our backends; the pool keeps the connections open."""
    with engine.connect() as connection:
        ours = text("SELECT pid FROM pg_stat_activity WHERE application_name = 'copydesk'")
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in connection.scalars(ours))


def _partition(engine: Engine, rows: int) -> None:
    """Store the same receipts in ten partitions by time; their key is then (settled_at, lane, id)."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("CREATE TABLE parted (LIKE receipts) PARTITION BY RANGE (settled_at)"))
        for part in range(10):
            connection.execute(text(
                f"CREATE TABLE parted{part} PARTITION OF parted FOR VALUES FROM (now() - interval '200 days' + {part * rows // 10} * interval '1 ms') "
                f"TO (now() - interval '200 days' + {(part + 1) * rows // 10 + (10**9 if part == 9 else 0)} * interval '1 ms')"))  # fmt: skip
        connection.execute(text("CREATE UNIQUE INDEX ON parted (settled_at, lane, id)"))
        connection.execute(text("CREATE INDEX ON parted (lane, id)"))
        connection.execute(text(_RECEIPTS.replace("INTO receipts", "INTO parted")), {"rows": rows})
        connection.execute(text("INSERT INTO receipts SELECT * FROM parted ON CONFLICT DO NOTHING"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE parted"))
        connection.execute(text("VACUUM ANALYZE receipts"))
        ids = [f"{1_700_000_000_000 + n * (rows // 100)}-0" for n in range(1, 101)]
        for table in ("receipts", "parted"):
            taken = []
            for _ in range(50):
                began = time.perf_counter()
                connection.execute(
                    text(f"SELECT outcome FROM {table} WHERE lane = 'documents' AND id = ANY(:ids)"), {"ids": ids}
                ).all()
                taken.append(time.perf_counter() - began)
            print(f"{table}: 100 receipts looked up in {sorted(taken)[25] * 1000:.2f} ms (median of 50)")
        began = time.perf_counter()
        connection.execute(text("DROP TABLE parted0"))
        print(f"a partition of {rows // 10:,} dropped in {(time.perf_counter() - began) * 1000:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
