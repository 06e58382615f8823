"""Measure the cost of each stage: one process takes batches through the pipeline, with a CPU clock around the function
of each stage.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event

from tests.benchmarks.contenders import LANE, give_a_past
from tests.benchmarks.generator import Document
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.setting import Setting
from worker import pipeline
from worker.documents import validation
from worker.documents.limits import Limits
from worker.linking.linker import LEASE_SECONDS, ROLE, Linker
from worker.producer.client import Submission, submit_many
from worker.queue.connection import connect
from worker.queue.lease_queue import DISPATCHED, GROUP, LeaseQueue
from worker.runtime import batch_report
from worker.settings import Settings
from worker.store.batches import writer as store_batch
from worker.store.batches.load import SqlLoader
from worker.store.batches.writer import BatchWriter
from worker.store.engine import make_engine
from worker.store.linking import leader, link_states
from worker.store.migration import upgrade

DOORS: tuple[tuple[str, Any, str], ...] = (
    ("parse", validation, "split"),
    ("parse", validation, "parse_known"),
    ("validate", pipeline, "read"),
    ("enrich", pipeline, "enrich"),
    ("recognise", pipeline, "recognise"),
    ("prepare", store_batch, "parts_of"),
    *(("load", SqlLoader, name) for name in ("documents", "articles", "urls")),
    ("decide", store_batch, "decide"),
    ("write", BatchWriter, "write"),  # the rest: building the statements, the commit, what follows it
    ("read", LeaseQueue, "claim"),
    ("settle", LeaseQueue, "end_attempt"),
    ("settle", LeaseQueue, "begin_attempt"),
    ("settle", LeaseQueue, "settle"),
    ("settle", batch_report, "announce"),
    ("settle", batch_report, "count"),
)
"""A stage, and the function through which it is entered. The time of a nested stage counts only for that stage."""


@dataclass(slots=True)
class Costs:
    """CPU microseconds a document of each stage in the worker, and of the database; statements and round trips a batch."""

    micros: dict[str, float] = field(default_factory=dict)
    database: float = 0.0
    statements: float = 0.0
    redis_trips: float = 0.0


class _Clock:
    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._inside: list[float] = []

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            self._inside.append(0.0)
            started = time.process_time()
            try:
                return function(*args, **more)
            finally:
                took = time.process_time() - started
                self.spent[stage] = self.spent.get(stage, 0.0) + took - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took

        return timed


@contextlib.contextmanager
def _clocked() -> Iterator[_Clock]:
    clock = _Clock()
    plain = [(owner, name, getattr(owner, name)) for _, owner, name in DOORS]
    for stage, owner, name in DOORS:
        setattr(owner, name, clock.around(stage, getattr(owner, name)))
    try:
        yield clock
    finally:
        for owner, name, function in plain:
            setattr(owner, name, function)


class Bench:
    """A store and a lane; this process handles the batches as `runtime.ingestion` does."""

    def __init__(self, setting: Setting, batch: int = 200) -> None:
        self.config = Settings(database_url=SecretStr(setting.database_url), data_dir=setting.folder / "desk")
        self.setting, self.batch = setting, batch
        upgrade(self.config, only_if_empty=False)
        self.engine = make_engine(self.config, repeats=True)
        give_a_past(self.engine)
        token = leader.acquire(self.engine, ROLE, "bench", seconds=LEASE_SECONDS)
        assert token is not None
        self.linker = Linker(self.engine, token=token, window=self.config.link_window_articles)
        self.client = connect(setting.valkey.url)
        self.queue = LeaseQueue(self.client, LANE)
        self.queue.ensure()
        self.statements = 0
        event.listen(self.engine, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def work(self, documents: list[Document]) -> None:
        """Submit and process `documents`, batch by batch."""
        limits = Limits(max_bytes=self.config.max_document_bytes)
        for start in range(0, len(documents), self.batch):
            part = documents[start : start + self.batch]
            ids = [id_ for _, id_ in submit_many(self.client, LANE, (Submission(d.raw, "bench", d.key) for d in part))]
            self.client.xreadgroup(GROUP, DISPATCHED, {LANE: ">"}, count=self.batch)
            entries = self.queue.claim("bench", ids, lease_seconds=60, max_bytes=1 << 21)
            batch = pipeline.Batch(LANE, None, "bench", 3, limits)
            versions = pipeline.process(
                self.engine, batch, entries,
                end_attempt=lambda ids=ids: self.queue.end_attempt("bench", ids),
                begin_attempt=lambda ids=ids: self.queue.begin_attempt("bench", ids),
            )  # fmt: skip
            batch_report.announce(self.client, batch, versions)
            self.queue.settle((version.id, str(version.outcome)) for version in versions)
            batch_report.count(self.client, batch, versions, work_ms=0)

    def costs(self, documents: list[Document]) -> Costs:
        """Return the cost of `documents` by stage. The database's part of linking and the producer, which runs in this
        process too, are not counted.
        """
        self.statements, trips = 0, self._trips()
        database = self._database()
        with _clocked() as clock:
            self.work(documents)
        database, statements, trips = self._database() - database, self.statements, self._trips() - trips
        started = time.process_time()
        self.link()
        clock.spent["link"] = time.process_time() - started
        count, batches = len(documents), -(-len(documents) // self.batch)
        return Costs(
            {stage: spent / count * 1e6 for stage, spent in clock.spent.items()},
            database / count * 1e6,
            statements / batches,
            trips / batches,
        )

    def link(self) -> None:
        """Link the stored articles, as the linker process does beside the pool."""
        while True:
            if self.linker.step():
                continue
            with self.engine.begin() as connection:
                if not link_states.pending_count(connection):
                    return
            time.sleep(0.05)  # articles of a first day are linked again when no more have arrived for a moment

    def _database(self) -> float:
        return cpu_seconds(self.setting.database_pids)

    def _trips(self) -> int:
        """Return the scripts that were run and the pipelines of minute counters, as counted by the server."""
        calls = self.client.info("commandstats")
        return sum(int(calls.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("evalsha", "eval"))

    def close(self) -> None:
        self.engine.dispose()
        self.client.close()
