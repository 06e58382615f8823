"""The contenders: Copydesk, the peers and the limit, each on its own servers, from the first document to the last
commit.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy

from tests.benchmarks.generator import Document, Generator
from tests.benchmarks.machine import cpu_by_process, cpu_seconds, own_megabytes, peak_megabytes
from tests.benchmarks.setting import Servers, Setting
from tests.support.servers import ROOT, command, copydesk, environment, until
from worker.documents.validation import read
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.producer.client import Submission, submit_many
from worker.store.linking.day_frequencies import keep_day

LANE = "documents"
LIMITS = ("limit", "limit_kept")
PROCESSES = "3"
"""Pool processes of Copydesk: two cores and one, as `PRODUCTION.md` says, because a process also waits for the others' locks. The
peers have two: with three they store no more.
"""
PEERS = ("celery_afternoon", "dramatiq_afternoon", "rq_afternoon", "celery_batches", "faststream_batches")


@dataclass(slots=True)
class Run:
    """One run: documents, wall seconds, CPU seconds of each part, peak megabytes of each worker process."""

    documents: int
    seconds: float
    cpu: dict[str, float] = field(default_factory=dict)
    megabytes: list[float] = field(default_factory=list)
    own_megabytes: list[float] = field(default_factory=list)
    """Memory of each worker process that it shares with no other process."""
    processes: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each worker process."""

    @property
    def per_second(self) -> float:
        return self.documents / self.seconds

    @property
    def cpu_micros(self) -> float:
        """CPU microseconds a document, of all processes together. Two cores divided by this is the rate on an idle
        machine.
        """
        return sum(self.cpu.values()) / self.documents * 1e6


class Worker:
    """A worker in its own process group, with its log in the folder of the run."""

    def __init__(self, words: list[str], setting: Setting, **variables: str) -> None:
        self.log = setting.folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, env=environment(**variables), cwd=setting.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        assert self.process.poll() is None, self.log.read_text("utf-8", "replace")[-3000:]

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
                if number == signal.SIGKILL:
                    return


class Copydesk:
    """A production worker with two pool processes. `link`: with the linker (`similar` links and stories), which no peer
    has.
    """

    name = "copydesk"
    timeout_seconds = 600  # seconds

    def __init__(self, setting: Setting, *, link: bool = False, **settings: str) -> None:
        self.setting, self._link = setting, link
        self.variables = {
            "COPYDESK_REDIS_URL": setting.valkey.url, "COPYDESK_DATABASE_URL": setting.database_url,
            "COPYDESK_DATA_DIR": str(setting.folder / "desk"), "COPYDESK_CONCURRENCY": PROCESSES, "COPYDESK_LOG_FORMAT": "json", "COPYDESK_LINK": str(link).lower(), **settings,
        }  # fmt: skip
        self.client = setting.valkey.client()

    def prepare(self) -> None:
        done = copydesk("db", "upgrade", cwd=self.setting.folder, **self.variables)
        assert done.returncode == 0, done.stderr
        if self._link:
            engine = sqlalchemy.create_engine(self.setting.engine_url)
            give_a_past(engine)
            engine.dispose()

    def start(self) -> Worker:
        return Worker(command("worker"), self.setting, **self.variables)

    def publish(self, documents: list[Document]) -> None:
        for _ in submit_many(
            self.client, LANE, (Submission(one.raw, source="bench", key=one.key) for one in documents)
        ):
            pass

    def done(self) -> int:
        return sum(int(count) for count in self.client.hvals(f"copydesk:outcomes:{LANE}"))

    def finish(self) -> None:
        """Wait until all articles are linked, if linking is on."""
        if not self._link:
            return
        engine = sqlalchemy.create_engine(self.setting.engine_url)
        with engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            pending = "SELECT EXISTS (SELECT 1 FROM articles WHERE link_state = 'pending')"
            until(lambda: not connection.exec_driver_sql(pending).scalar(), seconds=self.timeout_seconds,
                  what="all is linked", every=0.2)  # fmt: skip
        engine.dispose()


class Peer:
    """One of `tests.benchmarks.peers`; its module has a `command` and a `publish`."""

    timeout_seconds = 600

    def __init__(self, setting: Setting, name: str) -> None:
        self.name, self.setting = name, setting
        self.variables = {"BENCH_REDIS_URL": setting.valkey.url, "BENCH_DATABASE_URL": setting.engine_url}
        self.client = setting.valkey.client()

    def prepare(self) -> None:
        os.environ.update(self.variables)
        for name in [name for name in sys.modules if name.startswith("tests.benchmarks.peers.")]:
            del sys.modules[name]  # the peers read the addresses of the servers when they are imported
        self.module = importlib.import_module(f"tests.benchmarks.peers.{self.name}")
        importlib.import_module("tests.benchmarks.peers.schema").create_all()
        getattr(self.module, "prepare", lambda: None)()

    def start(self) -> Worker:
        program, *rest = self.module.command()
        return Worker(
            [str(Path(sys.executable).parent / program), *rest], self.setting, PYTHONWARNINGS="ignore", **self.variables
        )

    def publish(self, documents: list[Document]) -> None:
        self.module.publish([one.raw for one in documents])

    def done(self) -> int:
        return int(self.client.get("bench:done") or 0)

    def finish(self) -> None:
        """Return at once: a peer counts a document after its commit."""


_PAST_TIMES = 200


def give_a_past(engine: sqlalchemy.Engine) -> None:
    """Store the frequencies of an earlier day. Without completed days the linker links the whole current day again and
    again.
    """
    past = Frequencies()
    past.add(features_of_all([(one.title, one.excerpt) for one in _past()]))
    past.counts *= _PAST_TIMES
    past.documents *= _PAST_TIMES
    with engine.begin() as connection:
        keep_day(connection, datetime.now(UTC).date() - timedelta(days=1), past.documents, past.dump())


def _past() -> Iterator[Any]:
    """Return the frequencies of generated documents of another seed."""
    for document in Generator(3).documents(500):
        article = read(document.raw, has_key=True).article
        if article is not None:
            yield article


def throughput(contender: Copydesk | Peer, documents: list[Document], warm: list[Document]) -> Run:
    """Start a worker, warm it up, publish all documents while it runs, and wait for the last commit."""
    contender.prepare()
    worker = contender.start()
    try:
        contender.publish(warm)
        _wait(contender, worker, len(warm))
        contender.finish()
        return measured(contender, worker, documents)
    finally:
        worker.stop()


def measured(contender: Copydesk | Peer, worker: Worker, documents: list[Document]) -> Run:
    """Measure one run of a worker that has started: from the first published document to the last commit."""
    done = contender.done()
    before, processes = contender.setting.cpu(worker.pid), cpu_by_process(worker.pid)
    started, own = time.perf_counter(), time.process_time()
    producer = threading.Thread(target=contender.publish, args=(documents,))
    producer.start()
    _wait(contender, worker, done + len(documents))
    contender.finish()
    seconds, own = time.perf_counter() - started, time.process_time() - own
    producer.join()
    after = contender.setting.cpu(worker.pid)
    cpu = {part: after[part] - before[part] for part in after}
    spent = {name: used - processes.get(name, 0.0) for name, used in cpu_by_process(worker.pid).items()}
    cpu["producer"] = own
    return Run(len(documents), seconds, cpu, peak_megabytes(worker.pid), own_megabytes(worker.pid), spent)


def _wait(contender: Copydesk | Peer, worker: Worker, count: int) -> None:
    def there() -> bool:
        worker.check()
        return contender.done() >= count

    until(there, seconds=contender.timeout_seconds, what=f"{contender.name} has stored {count}", every=0.02)


def limit(setting: Setting, documents: list[Document], warm: list[Document], *, keep: bool = False) -> Run:
    """Measure two processes that only parse, validate and COPY. `keep`: they also store raw bytes and receipts."""
    Peer(setting, "limit").prepare()
    from tests.benchmarks.peers import limit as module

    stored = 0
    for part in (warm, documents):
        workers, go, used = module.start([one.raw for one in part], first=stored, keep=keep)
        database = cpu_seconds(setting.database_pids)
        started = time.perf_counter()
        go.set()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        seconds = time.perf_counter() - started
        stored += len(part)
    cpu = {"workers": used.get() + used.get(), "database": cpu_seconds(setting.database_pids) - database}
    return Run(len(documents), seconds, cpu)


def count_rows(url: str) -> dict[str, int]:
    """Return the number of rows of each table, to compare the contenders."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        names = ("articles", "links", "article_topics", "images", "providers", "topics")
        counts = {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in names}
    engine.dispose()
    return counts


__all__ = [
    "LIMITS",
    "PEERS",
    "ROOT",
    "Copydesk",
    "Peer",
    "Run",
    "Servers",
    "Setting",
    "Worker",
    "count_rows",
    "give_a_past",
    "limit",
    "measured",
    "throughput",
]
