"""Measurements other than throughput: latency, growth, backlog, updates, and the start-up time of commands."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from tests.benchmarks.contenders import LANE, ROOT, Copydesk, Run, Setting, Worker, throughput
from tests.benchmarks.generator import Document
from tests.support.servers import VALID, command, environment, until
from worker.producer.client import Submission, submit_entry, submit_many

_PAUSE_SECONDS = 0.05


def latency(setting: Setting, documents: list[Document]) -> dict[str, float]:
    """Return milliseconds from `XADD` to the receipt, one document at a time on an idle system."""
    contender = Copydesk(setting)
    contender.prepare()
    worker = contender.start()
    took = []
    try:
        for number, document in enumerate(documents):
            started = time.perf_counter()
            submit_entry(
                contender.client, LANE, document.raw, source="bench", key=document.key, reply_to=f"replies:{number}"
            )
            reply = {f"replies:{number}": "0"}
            # The first document waits for the start of the worker, which takes longer than the connection's time-out.
            until(
                lambda reply=reply: contender.client.xread(reply, count=1, block=1000),
                seconds=60,
                what="a receipt comes",
            )
            took.append((time.perf_counter() - started) * 1000)
            time.sleep(_PAUSE_SECONDS)
    finally:
        worker.stop()
    took = took[len(took) // 5 :]  # the first ones start processes and fill caches
    return {"p50": statistics.median(took), "p99": statistics.quantiles(took, n=100)[98]}


@contextlib.contextmanager
def grown(setting: Setting, articles: int, warm: list[Document]) -> Iterator[tuple[Copydesk, Worker]]:
    """Yield a worker that has stored `warm` into a store which already holds `articles` articles with their child rows.

    The store is not vacuumed by itself: a run is shorter than a minute, so it would be in some runs and not in others.
    """
    contender = Copydesk(setting)
    contender.prepare()
    with psycopg.connect(setting.database_url) as connection:
        connection.execute(_NO_AUTOVACUUM)
    if articles:
        grow(setting.database_url, articles)
    worker = contender.start()
    try:
        contender.publish(warm)
        until(
            lambda: contender.done() >= len(warm),
            seconds=contender.timeout_seconds,
            what="the first documents are stored",
        )
        yield contender, worker
    finally:
        worker.stop()


def vacuum(url: str) -> None:
    """Vacuum and analyse all tables. A checkpoint does not follow."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def grow(url: str, articles: int) -> None:
    """Fill an empty store by SQL, two tables at a time. Indexes are created afterwards, and foreign keys are not
    checked.
    """

    def run(statement: str) -> list[tuple[str, ...]]:
        unchecked = "-c session_replication_role=replica -c maintenance_work_mem=256MB"
        with psycopg.connect(url, autocommit=True, options=unchecked) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    indexes = run(_INDEXES)
    for name, _ in indexes:
        run(f"DROP INDEX {name}")
    with ThreadPoolExecutor(2) as pool:
        for statements in (_GROWTH[:-1], (definition for _, definition in indexes), _GROWTH[-1:]):
            list(pool.map(run, [statement.replace("%(n)s", str(articles)) for statement in statements]))
    run("VACUUM ANALYZE")
    run("CHECKPOINT")


_NO_AUTOVACUUM = """DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    LOOP EXECUTE 'ALTER TABLE ' || name || ' SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)'; END LOOP;
END $$"""

_INDEXES = """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE NOT indisunique AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"""

_GROWTH = (
    "INSERT INTO providers (id, domain, other_names) SELECT n, 'grown' || n || '.example', '[]' FROM generate_series(1, 2000) n",
    """INSERT INTO articles (id, canonical_url, url_hash, kind, title, excerpt, published_at, provider_id, quality, is_stub, extra,
         content_hash, document_id, revision, link_state, first_seen_at, changed_at)
       SELECT n, 'https://grown.example/' || n, decode(md5('article' || n), 'hex'), 'article', 'Title of ' || n, repeat('word ', 40),
         timestamptz '2015-01-01' + n * interval '1 minute', 1 + n % 2000, n % 120, false, '{}', decode(md5('content' || n), 'hex'), n,
         lpad(n::text, 20, '0') || '-00000000000000000000:documents', 'done', now(), now() FROM generate_series(1, %(n)s) n""",
    """INSERT INTO documents (id, doc_hash, source, key, revision, article_hash, retracted, fingerprint, content_hash, form, changed_at)
       SELECT n, decode(md5('document' || n), 'hex'), 'grown', n || '.md', lpad(n::text, 20, '0') || '-00000000000000000000:documents',
         decode(md5('article' || n), 'hex'), false, decode(md5('print' || n), 'hex'), decode(md5('content' || n), 'hex'),
         repeat('form ', 300), now() FROM generate_series(1, %(n)s) n""",
    """INSERT INTO article_urls (article_id, claim, url_hash, url)
       SELECT n, 'web', decode(md5('article' || n), 'hex'), 'https://www.grown.example/' || n FROM generate_series(1, %(n)s) n""",
    """INSERT INTO images (article_id, rank, url) SELECT n, 0, 'https://images.grown.example/' || n FROM generate_series(1, %(n)s) n""",
    """INSERT INTO links (source_id, kind, target_hash, target_id, rank)
       SELECT n, 'related', decode(md5('article' || t), 'hex'), t, k
       FROM generate_series(1, %(n)s) n, generate_series(1, 4) k, LATERAL (SELECT 1 + (n + k * 7) % %(n)s AS t)""",
    """INSERT INTO receipts (lane, id, outcome, op, source, key, article_id, document_id, problems, changed, received_at, settled_at,
         worker, attempts, timings)
       SELECT 'documents', n || '-0', 'stored', 'put', 'grown', n || '.md', n, n, '[]', '[]', now(), now(), 'grown', 1, '{}'
       FROM generate_series(1, %(n)s) n""",
    # A store of this age has counted its receipts and indexed its words.
    "INSERT INTO roll_ups (name, until) VALUES ('sources', now()), ('words', now())",
    "SELECT setval(pg_get_serial_sequence(t, 'id'), %(n)s + 2000) FROM unnest(ARRAY['articles', 'documents', 'providers']) t",
)


_FILL = "for _ = 1, tonumber(ARGV[2]) do redis.call('XADD', KEYS[1], '*', 'raw', ARGV[1], 'source', 'bench', 'key', 'waits') end"
_FILLED_AT_ONCE = 10_000


def behind(setting: Setting, backlog: int, documents: list[Document]) -> Run:
    """Measure the rate of the first `documents` while `backlog` more wait behind them on the lane."""
    contender = Copydesk(setting)
    contender.prepare()
    contender.publish(documents)
    for start in range(0, backlog, _FILLED_AT_ONCE):
        contender.client.eval(_FILL, 1, LANE, b"---\ntitle: Waits\n---\n", min(_FILLED_AT_ONCE, backlog - start))
    # Loading so much data makes the server rewrite its append-only file, which is not part of the measured cost.
    until(
        lambda: not contender.client.info("persistence")["aof_rewrite_in_progress"],
        seconds=60,
        what="the log is written",
    )
    worker = contender.start()
    first = len(documents) // 4
    try:
        until(
            lambda: contender.done() >= first, seconds=contender.timeout_seconds, what="the first documents are stored"
        )
        before, done, started = setting.cpu(worker.pid), contender.done(), time.perf_counter()
        until(
            lambda: contender.done() >= len(documents) * 9 // 10,
            seconds=contender.timeout_seconds,
            what="the documents are stored",
        )
        seconds, after = time.perf_counter() - started, setting.cpu(worker.pid)
        return Run(contender.done() - done, seconds, {part: after[part] - before[part] for part in after})
    finally:
        worker.stop()


def history(lines: int) -> Iterator[Submission] | None:
    """Return the first updates of a real collection, from the folder COPYDESK_TEST_CORPUS; None if there are none."""
    folder = os.environ.get("COPYDESK_TEST_CORPUS")
    archive = Path(folder or ".") / "diablo4-history.jsonl.zst"
    if not folder or not archive.exists():
        return None
    return _read_history(archive, lines)


def _read_history(archive: Path, lines: int) -> Iterator[Submission]:
    with subprocess.Popen(["zstd", "-dc", str(archive)], stdout=subprocess.PIPE) as unpacked:
        assert unpacked.stdout is not None
        for _, line in zip(range(lines), unpacked.stdout, strict=False):
            one = json.loads(line)
            raw = None if one["deleted"] else one["raw"].encode()
            yield Submission(raw, source="history", key=one["path"], op="retract" if one["deleted"] else None)
        unpacked.kill()


def replay(setting: Setting, updates: list[Submission]) -> Run:
    """Measure the throughput of real updates, from the first `XADD` to the last commit."""
    contender = Copydesk(setting)
    contender.prepare()
    worker = contender.start()
    try:
        head = updates[:50]
        for _ in submit_many(contender.client, LANE, head):
            pass
        until(
            lambda: contender.done() >= len(head),
            seconds=contender.timeout_seconds,
            what="the first updates are stored",
        )
        before, started = setting.cpu(worker.pid), time.perf_counter()
        for _ in submit_many(contender.client, LANE, updates[50:]):
            pass
        until(
            lambda: contender.done() >= len(updates), seconds=contender.timeout_seconds, what="the updates are stored"
        )
        seconds, after = time.perf_counter() - started, setting.cpu(worker.pid)
        return Run(len(updates) - 50, seconds, {part: after[part] - before[part] for part in after})
    finally:
        worker.stop()


def updated(setting: Setting, documents: list[Document], updates: list[Document]) -> Run:
    """Measure the throughput of newer versions of stored documents."""
    return throughput(Copydesk(setting), updates, documents)


_COMMANDS = (("--help",), ("check", str(min(VALID.glob("*.md")))))


def start_up(runs: int = 5) -> dict[str, float]:
    """Return the seconds that commands take, the best of `runs`: other load only makes them slower."""
    found = {}
    for words in _COMMANDS:
        took = []
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run(command(*words), cwd=ROOT, env=environment(), check=True, capture_output=True)
            took.append(time.perf_counter() - started)
        found["copydesk " + words[0]] = min(took)
    return found


__all__ = ["behind", "grown", "history", "latency", "replay", "start_up"]
