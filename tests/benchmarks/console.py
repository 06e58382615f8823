"""Measure how long each page of the console takes at 100,000 articles, on both databases:

    python -m tests.benchmarks.console [--articles 100000] [--rounds 20] [--store sqlite|postgresql]

The rows are inserted by SQL and not by the pipeline, because the pages only read them. Each request passes through the
whole
application (routing, threads, templates), without a socket. Times are milliseconds: wall time, CPU of this process
(median),
and CPU of PostgreSQL and Valkey (mean; it includes their background work). On a shared machine compare the sum of both
CPU times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from tests.support.postgres import Postgres
from tests.support.servers import Valkey
from worker.activity.minute_counters import _SEPARATOR as SEPARATOR
from worker.activity.outcome_feed import publish
from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.monitoring.sources.roll_up import roll_up_sources
from worker.queue.lease_queue import LeaseQueue
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade
from worker.word_index.filling import fill as fill_word_index

_LETTERS_EVERY = 50
"""One document in this many is rejected."""
_BODY = "Some words of an article that nobody reads here. " * 60


def fill(engine: Engine, count: int) -> None:
    """Insert `count` articles with one document each, with links, images and receipts. A tenth of them are in stories."""
    sqlite = engine.dialect.name == "sqlite"
    numbers = (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        if sqlite
        else f"WITH n AS (SELECT i FROM generate_series(1, {count}) AS g(i))"
    )

    def moment(seconds: str) -> str:
        if sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({seconds}) || ' seconds')"
        return f"now() - make_interval(secs => {seconds})"

    ago = f"({count} - i) / 2"
    stories = max(1, count // 50)
    statements = [
        f"INSERT INTO providers (id, domain, name, other_names) {numbers} SELECT i, 'site' || i || '.example', 'Site ' || i, '[]' FROM n WHERE i <= 200",
        f"INSERT INTO stories (id, lead_id, size, first_at, last_at, first_id, heat, changed_at, announced_at) {numbers} "
        f"SELECT i, i * 10, 5, {moment(ago)}, {moment(ago)}, i * 10, 60, {moment(ago)}, {moment(ago)} FROM n WHERE i <= {stories}",
        "INSERT INTO articles (id, canonical_url, url_hash, kind, title, excerpt, body, published_at, provider_id, provider_name, quality, "
        "is_stub, story_id, extra, document_id, revision, pipeline_version, link_state, first_seen_at, changed_at) "
        f"{numbers} SELECT i, 'https://site' || (i % 200 + 1) || '.example/story/' || i, {_hash(sqlite, 'i')}, 'article', "
        f"'Council number ' || i || ' votes on harbour plan ' || (i % 977) || ' after a long night', 'An excerpt of a sentence or two.', '{_BODY}', "
        f"{moment(ago)}, i % 200 + 1, 'Site', i % 100, {'0' if sqlite else 'false'}, CASE WHEN i % 10 = 0 AND i / 50 BETWEEN 1 AND {stories} THEN i / 50 END, '{{}}', i, "
        f"'r', 99, 'linked', {moment(ago)}, {moment(ago)} FROM n",
        "INSERT INTO documents (id, doc_hash, source, key, revision, article_hash, retracted, raw_sha256, changed_at) "
        f"{numbers} SELECT i, {_hash(sqlite, 'i')}, 'crawler-' || (i % 20), 'stories/' || i || '.md', 'r', {_hash(sqlite, 'i')}, "
        f"{'0' if sqlite else 'false'}, NULL, {moment(ago)} FROM n",
        f"INSERT INTO article_urls (article_id, claim, url_hash, url) {numbers} SELECT i, 'web', {_hash(sqlite, 'i')}, 'https://x.example/' || i FROM n",
        "INSERT INTO lanes (name, highest) VALUES ('documents', '')",
        "INSERT INTO receipts (lane, id, outcome, op, source, key, url, article_id, document_id, problems, changed, received_at, settled_at, worker, "
        f"attempts, timings) {numbers} SELECT 'documents', (1700000000000 + i) || '-0', CASE WHEN i % {_LETTERS_EVERY} = 0 THEN 'rejected' ELSE 'stored' END, "
        f"'put', 'crawler-' || (i % 20), 'stories/' || i || '.md', NULL, i, i, '[]', '[]', {moment(ago)}, {moment(ago)}, 'w:1', 1, '{{}}' FROM n",
        "INSERT INTO dead_letters (lane, receipt_id, op, source, key, revision, code, problems, status, edits, created_at) "
        f"{numbers} SELECT 'documents', (1700000000000 + i) || '-0', 'put', 'crawler-' || (i % 20), 'stories/' || i || '.md', 'r', "
        f"CASE WHEN i % 3 = 0 THEN 'no_title' ELSE 'yaml_unquoted_colon' END, '{_PROBLEMS}', 'open', 0, {moment(ago)} FROM n WHERE i % {_LETTERS_EVERY} = 0",
    ]
    statements += [
        "INSERT INTO links (source_id, kind, target_hash, target_id, rank, score, reason) "
        f"{numbers} SELECT i, '{'similar' if offset % 2 else 'related'}', {_hash(sqlite, f'(i + {offset * 37}) % {count} + 1')}, "
        f"(i + {offset * 37}) % {count} + 1, {offset}, 0.5, 'harbour plan' FROM n"
        for offset in range(1, 11)
    ]
    with engine.begin() as connection:
        if not sqlite:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%") if not sqlite else statement)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


_PROBLEMS = '[{"code": "no_title", "severity": "error", "message": "There is no title.", "line": 1, "column": 1}]'


def _hash(sqlite: bool, number: str) -> str:
    """Return 16 bytes that are unique to the number."""
    if sqlite:
        return f"CAST(printf('%016d', {number}) AS BLOB)"
    return f"decode(lpad(to_hex({number}), 32, '0'), 'hex')"


def busy(client: object) -> None:
    """Add one day of minute counters for twenty sources, an outcome feed, and waiting entries."""
    queue = LeaseQueue(client, "documents")
    queue.ensure()
    now = int(time.time() // 60)
    with client.pipeline(transaction=False) as pipe:
        for minute in range(now - 1440, now + 1):
            fields = {SEPARATOR.join(("o", "documents", f"crawler-{n}", outcome)): count
                      for n in range(20) for outcome, count in (("stored", 40), ("unchanged", 20), ("rejected", 1))}  # fmt: skip
            fields[SEPARATOR.join(("a", "documents"))] = (minute - now + 1441) * 1220
            fields |= {SEPARATOR.join(("c", "documents", f"crawler-{n}", "no_title")): 1 for n in range(20)}
            pipe.hset(f"copydesk:tally:{minute}", mapping=fields)
        rows = [
            (
                f"{1_700_000_000_000 + n}-0",
                f"crawler-{n % 20}",
                "stored",
                f"stories/{n}.md",
                f"https://x.example/{n}",
                [],
            )
            for n in range(5000)
        ]
        for start in range(0, 5000, 100):
            publish(pipe, lane="documents", worker="w:1", rows=rows[start : start + 100])
        pipe.xadd("documents", {"raw": "x"})
        pipe.execute()


def pages(count: int) -> dict[str, str]:
    some = count // 2
    return {
        "overview": "/", "overview, day": "/?span=day", "live tail": "/tail", "live tail, filtered": "/tail?source=crawler-7&outcome=stored",
        "search by URL": f"/search?q=https://site{some % 200 + 1}.example/story/{some}", "search by receipt": f"/search?q={1_700_000_000_000 + some}-0",
        "search by key": f"/search?q=stories/{some}.md", "search by words": "/search?q=council+977", "search, nothing": "/search?q=nowhere+to+be+found",
        "article": f"/articles/{some}", "article in a story": f"/articles/{some // 50 * 50}", "stories": "/stories", "story": "/stories/7", "dead letters": "/dead", "of a cause": "/dead/letters?code=no_title",
        "dead, by text": "/dead/letters?text=stories/100", "one dead letter": "/dead/7", "lanes": "/lanes", "sources": "/sources", "sources, week": "/sources?hours=168",
        "one source": "/sources/of?source=crawler-7", "losses": "/sources/losses", "losses of a source": "/sources/losses?source=crawler-7",
        "search by rare words": f"/search?q={some}+harbour", "times": "/times", "workers": "/workers",
    }  # fmt: skip


def spent(server: psutil.Process) -> float:
    """Return the CPU time of a server and its children, in milliseconds."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(1000 * (one.user + one.system) for one in times)


def measure(
    config: Settings, count: int, rounds: int, servers: list[psutil.Process]
) -> list[tuple[str, float, float, float, float, float, float]]:
    """Return (page, first wall, median wall, p95 wall, median CPU, the servers' CPU, kB); times in milliseconds."""
    console_context = ConsoleContext(config)
    found = []
    with TestClient(build(console_context, names=frozenset({"localhost"})), base_url="http://localhost") as browser:
        time.sleep(5)  # the figures that are counted at the start
        for name, path in pages(count).items():
            walls, cpus, size = [], [], 0
            before = sum(map(spent, servers))
            for _ in range(rounds):
                wall, cpu = time.perf_counter(), time.process_time()
                answer = browser.get(path)
                walls.append((time.perf_counter() - wall) * 1000)
                cpus.append((time.process_time() - cpu) * 1000)
                assert answer.status_code == 200, (path, answer.status_code, answer.text[-500:])
                size = len(answer.content)
                time.sleep(0.05)
            first, walls, cpus = walls[0], sorted(walls), sorted(cpus)
            theirs = (sum(map(spent, servers)) - before) / rounds
            found.append(
                (name, first, walls[rounds // 2], walls[int(rounds * 0.95)], cpus[rounds // 2], theirs, size / 1024)
            )
    return found


def run(store: str, count: int, rounds: int) -> None:
    valkey = Valkey().start()
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres({"fsync": "off"}) if store == "postgresql" else None
        try:
            if postgres is None:
                url = f"sqlite:///{folder}/store.db"
                _one(store, url, valkey, Path(folder), count, rounds, [psutil.Process(valkey._process.pid)])
            else:
                servers = [psutil.Process(pid) for pid in (valkey._process.pid, postgres._server.get_pid())]
                with postgres.database() as url:
                    _one(store, url, valkey, Path(folder), count, rounds, servers)
        finally:
            if postgres is not None:
                postgres.stop()
            valkey.stop()


def _one(
    store: str, url: str, valkey: Valkey, folder: Path, count: int, rounds: int, servers: list[psutil.Process]
) -> None:
    config = Settings(database_url=url, redis_url=valkey.url, data_dir=folder)
    upgrade(config)
    engine = make_engine(config)
    began = time.perf_counter()
    fill(engine, count)
    assert roll_up_sources(engine, config, seconds=600)
    assert fill_word_index(engine, config, seconds=600)
    engine.dispose()
    with valkey.client() as client:
        busy(client)
    print(f"{store}, {count:,} articles (made in {time.perf_counter() - began:.0f} s), {rounds} rounds; milliseconds")
    print(f"{'page':24} {'first':>8} {'median':>8} {'p95':>8} {'CPU':>8} {'servers':>8} {'kB':>8}")
    for name, *numbers in measure(config, count, rounds, servers):
        print(f"{name:24} " + " ".join(f"{number:8.1f}" for number in numbers))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--store", choices=["sqlite", "postgresql"], action="append")
    given = options.parse_args()
    for store in given.store or ["sqlite", "postgresql"]:
        run(store, given.articles, given.rounds)
