"""How throughput grows with the number of processes, without and with a delay of 5 ms to the database.

Each run goes three times through the same documents: with the real queue and Celery's pool; without a queue, where each
process takes the next batch by itself; and by processes that only read the documents. The last shows what the
machine allows: processes that share two cores and a cache, each with memory of its own, slow each other down without a
database or a lock too. The linker does not run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from celery import signals
from sqlalchemy.exc import SQLAlchemyError

from tests.benchmarks.contenders import LANE, Copydesk, Run, Setting, measured
from tests.benchmarks.generator import Document, Generator
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.setting import Servers
from tests.support.servers import copydesk, until
from tests.support.wire import delayed
from worker.activity.minute_counters import MinuteCounters, total
from worker.documents.limits import Limits
from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete, is_work_left
from worker.pipeline import Batch, open_entry, process, read_version
from worker.producer.input_files import read_paths
from worker.queue.lease_queue import Claimed
from worker.runtime.app import app
from worker.settings import Settings
from worker.store.engine import is_conflict, is_transient, make_engine

PROCESSES = (1, 2, 4, 8)
DELAYS_MS = (0, 5)
BATCH = 200
WARM = 200
DOCUMENTS = 5_240
_COLLECTIONS = ("ai", "diablo4")  # together DOCUMENTS, 96 of them reference documents
_REFERENCES = 96
_READY_SECONDS = 120
READING = "reading alone"


def documents(count: int) -> list[Document]:
    """Return real documents, in the order of their paths, from the folder COPYDESK_TEST_CORPUS; else generated ones
    with as many reference documents. The first `WARM` are for warming up.
    """
    folder = os.environ.get("COPYDESK_TEST_CORPUS")
    if folder:
        found = list(_collections(Path(folder)))
        return found[:: max(1, len(found) // count)][:count]  # a smaller number has the same mix
    generator = Generator(1)
    found = generator.documents(count - _REFERENCES)
    place = len(found) // 2
    return [*found[:place], *generator.references(_REFERENCES), *found[place:]]


def _collections(folder: Path) -> Iterator[Document]:
    for name in _COLLECTIONS:
        with tempfile.TemporaryDirectory() as unpacked:
            with tarfile.open(folder / f"{name}.tar.gz") as archive:
                archive.extractall(unpacked, filter="data")
            for one in read_paths([unpacked], source="bench"):
                yield Document(one.key or "", one.raw or b"", "")


def scaling(
    servers: Servers, every: Sequence[Document], *, processes: Sequence[int], delays: Sequence[int], runs: int
) -> dict[str, Any]:
    """Return the median run of each number of processes and delay, with the queue and without it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(runs):
        for queue in (True, False):
            for milliseconds in delays:
                for count in processes:
                    name = f"{_of(count)}, {milliseconds} ms{'' if queue else ', no queue'}"
                    with servers.fresh("postgresql") as setting, _network(setting, milliseconds):
                        run = _with_queue(setting, every, count) if queue else _without_queue(setting, every, count)
                    found.setdefault(name, []).append(run)
                    print(f"  {name}: {run['per_second']:,.0f}/s, {run['cpu_micros']:,.0f} µs of CPU a document,"
                          f" {run['lock_ms']:.0f} ms under the lock,"
                          f" {run['work_seconds']:.1f} s of work after the last outcome", flush=True)  # fmt: skip
        for count in processes:
            run = _reading(_entries(every), count)
            found.setdefault(f"{_of(count)}, {READING}", []).append(run)
            print(
                f"  {_of(count)}, {READING}: {run['per_second']:,.0f}/s, {run['cpu_micros']:,.0f} µs of CPU a document",
                flush=True,
            )
    return {name: sorted(of, key=lambda run: run["per_second"])[len(of) // 2] for name, of in found.items()}


def _of(count: int) -> str:
    return f"{count} {'process' if count == 1 else 'processes'}"


@contextlib.contextmanager
def _network(setting: Setting, milliseconds: int) -> Iterator[None]:
    """Put the delay between the worker and the database of `setting`. Without one, too, the worker uses TCP."""
    direct = setting.database_url
    with delayed(direct, milliseconds=milliseconds) if milliseconds else contextlib.nullcontext(direct) as url:
        setting.database_url = url
        try:
            yield
        finally:
            setting.database_url = direct


def _with_queue(setting: Setting, every: Sequence[Document], count: int) -> dict[str, Any]:
    cap = str(2 * max(count, 2) * BATCH)  # as PRODUCTION.md says
    contender = Copydesk(setting, COPYDESK_CONCURRENCY=str(count), COPYDESK_PENDING_CAP=cap)
    contender.prepare()
    worker = contender.start()
    try:
        contender.publish(list(every[:WARM]))
        until(
            lambda: contender.done() >= WARM, seconds=contender.timeout_seconds, what="the first documents are stored"
        )
        run = measured(contender, worker, list(every[WARM:]))
        began = time.monotonic()
        engine = make_engine(_config(setting), pooled=False)
        until(lambda: not is_work_left(engine), seconds=contender.timeout_seconds, what="the work is done", every=0.1)
        minutes = total(MinuteCounters(contender.client).window(60))
        lock_ms = minutes.stages_ms[LANE, "lock"] / minutes.batches[LANE]  # the mean: nearly all batches are full
        return _result(run, time.monotonic() - began, lock_ms)
    finally:
        worker.stop()


def _without_queue(setting: Setting, every: Sequence[Document], count: int) -> dict[str, Any]:
    """Measure processes that each take the next batch; no Redis, no Celery."""
    done = copydesk("db", "upgrade", cwd=setting.folder, COPYDESK_DATABASE_URL=setting.database_url)
    assert done.returncode == 0, done.stderr
    entries = _entries(every)
    engine = make_engine(_config(setting))
    _store(engine, entries[:WARM])
    engine.dispose()
    database = cpu_seconds(setting.database_pids)
    seconds, usage = _processes(_config(setting), entries, count)
    cpu = {"workers": sum(one for one, _ in usage), "database": cpu_seconds(setting.database_pids) - database}
    began = time.monotonic()
    engine = make_engine(_config(setting))
    assert complete(engine, AllRules(), seconds=_READY_SECONDS)
    engine.dispose()
    lock_ms = statistics.median(one for _, locks in usage for one in locks)
    return _result(Run(len(entries) - WARM, seconds, cpu), time.monotonic() - began, lock_ms)


def _reading(entries: list[Claimed], count: int) -> dict[str, Any]:
    """Measure processes that open, parse, validate and enrich the documents, and store nothing."""
    _read(entries[:WARM])
    seconds, usage = _processes(None, entries, count)
    run = Run(len(entries) - WARM, seconds, {"workers": sum(one for one, _ in usage)})
    return _result(run, 0.0, 0.0)


def _entries(every: Sequence[Document]) -> list[Claimed]:
    return [
        Claimed(f"{1_700_000_000_000 + number}-0", 0, len(one.raw),
                {b"raw": one.raw, b"source": b"bench", b"key": one.key.encode()}, truncated=False)
        for number, one in enumerate(every)
    ]  # fmt: skip


def _processes(
    config: Settings | None, entries: list[Claimed], count: int
) -> tuple[float, list[tuple[float, list[float]]]]:
    """Let processes take all batches after the first. Without `config` they only read the documents.

    Returns the seconds that it took and, of each process, its seconds of CPU and the milliseconds under each lock.
    """
    context = multiprocessing.get_context("fork")  # it hands the documents over without a copy
    place, ready, go, used = context.Value("q", WARM), context.Semaphore(0), context.Event(), context.Queue()
    workers = [
        context.Process(target=_take_batches, args=(config, entries, place, ready, go, used)) for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert ready.acquire(timeout=_READY_SECONDS), "a process did not start"
    started = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    seconds = time.perf_counter() - started
    return seconds, [used.get() for _ in workers]


def _take_batches(config: Settings | None, entries: list[Claimed], place: Any, ready: Any, go: Any, used: Any) -> None:
    signals.worker_process_init.send(sender=app)  # as a pool process begins
    engine = make_engine(config, repeats=True) if config is not None else None
    if engine is not None:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    ready.release()
    go.wait()
    began, locks = time.process_time(), list[float]()
    while True:
        with place.get_lock():
            first = place.value
            place.value = first + BATCH
        if first >= len(entries):
            break
        batch = entries[first : first + BATCH]
        if engine is None:
            _read(batch)
        else:
            locks.append(_store(engine, batch)["lock"])
    used.put((time.process_time() - began, locks))


def _read(entries: list[Claimed]) -> None:
    batch = Batch(LANE, None, f"bench:{os.getpid()}", 3, Limits())
    versions = [open_entry(batch, entry) for entry in entries]
    for version in versions:
        read_version(version, batch.limits)


def _store(engine: Any, entries: list[Claimed]) -> dict[str, float]:
    """Process a batch; again after an error of the store that passes, as the queue would deliver it again.

    Returns the milliseconds of its stages.
    """
    while True:
        batch = Batch(LANE, None, f"bench:{os.getpid()}", 3, Limits())
        try:
            process(engine, batch, entries, end_attempt=lambda: None)
        except SQLAlchemyError as error:
            if not (is_transient(error) or is_conflict(error)):
                raise
        else:
            return batch.timings


def _config(setting: Setting) -> Settings:
    return Settings(database_url=setting.database_url, data_dir=setting.folder)


def _result(run: Run, work_seconds: float, lock_ms: float) -> dict[str, Any]:
    """`lock_ms`: how long a batch held the writer lock."""
    return {
        **asdict(run),
        "per_second": run.per_second,
        "cpu_micros": run.cpu_micros,
        "lock_ms": lock_ms,
        "work_seconds": work_seconds,
    }


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Return what the figures say about scaling: name → ratio."""
    result: dict[str, float] = {}
    for suffix in ("", ", no queue"):
        rates = {
            (int(name.split()[0]), name.partition(", ")[2].removesuffix(suffix)): run["per_second"]
            for name, run in found.items()
            if name.endswith(suffix) and name.endswith("queue") == bool(suffix) and not name.endswith(READING)
        }
        result |= _steps({count: rate for (count, delay), rate in rates.items() if delay == "0 ms"}, suffix)
        near = max((rate for (_, delay), rate in rates.items() if delay == "0 ms"), default=0.0)
        far = {count: rate for (count, delay), rate in rates.items() if delay == "5 ms"}
        if near and far:
            result[f"the best with the delay, of the best without{suffix}"] = max(far.values()) / near
        if 8 in far:
            result[f"8 processes with the delay, of the best{suffix}"] = far[8] / max(far.values())
    reading = {int(name.split()[0]): run["per_second"] for name, run in found.items() if name.endswith(READING)}
    return result | _steps(reading, f", {READING}")


def _steps(rates: dict[int, float], suffix: str) -> dict[str, float]:
    """Return how the rates of more processes compare with those of fewer."""
    return {
        f"{upper} processes, of {lower}{suffix}": rates[upper] / rates[lower]
        for upper, lower in ((2, 1), (4, 2), (8, 2))
        if upper in rates and lower in rates
    }
