"""A running system under load, with servers that can be broken, and the assertions about each fault."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from tests.faults.manifest import Manifest, Reader, now
from tests.faults.proxy import Proxy
from tests.faults.reconciliation import Findings, Reconciliation
from tests.faults.stack import Workers
from tests.faults.stores import PostgresStore, Store
from tests.faults.traffic import ALL_LANES, Traffic, clients
from tests.support.guard import temporary_folder
from tests.support.servers import Valkey, until
from worker.queue.lease_queue import GROUP, LeaseQueue
from worker.settings import INTERNAL_LANE, Settings
from worker.store import tables
from worker.store.engine import make_engine
from worker.store.migration import upgrade

SHORT_TIMES = {"COPYDESK_STATEMENT_SECONDS": "3", "COPYDESK_IDLE_TRANSACTION_SECONDS": "4", "COPYDESK_TASK_SECONDS": "6",
               "COPYDESK_LEASE_SECONDS": "8"}  # fmt: skip
"""Short, so that the entries of a dead process come back soon, but long enough for a busy machine to renew them."""

RECOVERY_SECONDS = 30
"""Documents that are sent after a fault must be stored within this time."""

_TRIES = 3
"""So often a fault is injected until it meets entries in flight."""

_STUCK_SECONDS = 4 * RECOVERY_SECONDS
"""If nothing changes for this long, the system is stuck; a slow machine is not the reason."""


class NothingInFlight(AssertionError):
    """Raised when no entry was in flight at the moment of a fault: such a test shows nothing."""


@dataclass(frozen=True, slots=True)
class FaultResult:
    """A fault after which documents were processed again. `pending`: entries in flight when it was injected. Seconds
    after its end:
    `recovery` until a document sent then was stored, `drained` until the backlog was empty; `took`: in all.
    """

    fault: str
    pending: int
    recovery: float
    drained: float
    took: float
    findings: Findings

    def check(self) -> FaultResult:
        """Raises AssertionError if documents were processed too late or the reconciliation found an error."""
        assert self.findings.clean, f"{self.fault}: {self.findings}"
        assert self.recovery <= RECOVERY_SECONDS, f"{self.fault}: documents flowed after {self.recovery:.0f} s"
        return self


class Scenario:
    """The servers, the workers and the traffic, as a context manager. `times`: the settings of the time-outs; `quick`:
    a worker
    of one process, for crashes at failpoints.
    """

    def __init__(self, store: Store, *, times: dict[str, str] | None = None, patch: str | None = None, seed: int = 0,
                 rate: float = 25, quick: bool = False) -> None:  # fmt: skip
        self.store = store
        self.folder = Path(temporary_folder("scenario"))
        self.points = self.folder / "points"
        self.points.mkdir()
        self.redis = Valkey(fsync="always")  # the setting that guarantees every acknowledged entry
        self._times = SHORT_TIMES if times is None else times
        self._patch, self._seed, self._rate, self._quick = patch, seed, rate, quick
        self._undo = contextlib.ExitStack()
        self._undo.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Scenario:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self._later(self.redis.stop, self.redis.start())
        self.proxy = Proxy(self.redis.socket)
        self._later(self.proxy.stop)
        self.client = self.redis.client()
        self._later(self.client.close)
        config = Settings(database_url=self.store.url, data_dir=self.folder)
        upgrade(config)
        self.store.prepare()
        self.engine = make_engine(config, pooled=False)
        self._later(self.engine.dispose)
        self.settings = {
            "COPYDESK_REDIS_URL": f"redis://127.0.0.1:{self.proxy.port}/0",
            "COPYDESK_DATABASE_URL": self.store.workers_url,
            "COPYDESK_DATA_DIR": str(self.folder / "data"),
            "COPYDESK_LANES": "documents=4,documents:urgent=8,documents:bulk=1,documents:again=1",
            "COPYDESK_BATCH_DOCUMENTS": "25",
            "COPYDESK_POLL_SECONDS": "0.1",  # a busy machine then gets batches and not single documents
            "COPYDESK_FAILPOINTS": str(self.points),
            **self._times,
        }
        for lane in (*ALL_LANES, INTERNAL_LANE):
            LeaseQueue(self.client, lane).ensure()
        self.workers = Workers(self.folder, self.settings, self.client, patch=self._patch, quick=self._quick)
        self._later(self.workers.stop)
        self.workers.start()
        self.manifest = Manifest(self.folder / "manifest.jsonl")
        self._later(self.manifest.close)
        producers = clients(self.redis.url, f"redis://127.0.0.1:{self.proxy.port}/0")
        self.traffic = Traffic(self.manifest, *producers, seed=self._seed, rate=self._rate)
        self._later(self.traffic.stop)
        self.traffic.start()
        self.reader = Reader(self.manifest.path)
        self.reconciliation = Reconciliation(self.reader, self.engine, self.client, ALL_LANES)

    def _later(self, undo: Callable[[], object], *_: object) -> None:
        self._undo.callback(undo)

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def lease_seconds(self) -> float:
        return float(self.settings.get("COPYDESK_LEASE_SECONDS", Settings().lease_seconds))

    def pending(self) -> int:
        """Return the number of entries dispatched and not settled, of all lanes."""
        with self.client.pipeline(transaction=False) as pipeline:
            for lane in (*ALL_LANES, INTERNAL_LANE):
                pipeline.xpending(lane, GROUP)
            return sum(found["pending"] for found in pipeline.execute())

    def backlog(self) -> int:
        return sum(self.client.xlen(lane) for lane in (*ALL_LANES, INTERNAL_LANE))

    def until_busy(self) -> int:
        """Wait until documents are in flight; returns how many."""
        return until(self.pending, seconds=_STUCK_SECONDS, what="documents are under way", every=0.002)

    def inject(self, fault: Callable[[Scenario], int | None], name: str) -> FaultResult:
        """Inject `fault` under load (it returns when it is over, with the entries in flight), and check the result.

        Raises NothingInFlight if no entry was in flight although all went well, AssertionError if something is stuck.
        The caller decides whether the recovery was quick enough and the reconciliation is clean, see
        `FaultResult.check`.
        """
        began = time.monotonic()
        (pending,) = self.inject_at_once(fault)
        recovery = self.until_flowing(name)
        drained = recovery + self.until_drained(name)
        findings = self.reconciliation.run()
        if findings.clean and not pending:
            raise NothingInFlight(f"{name} met no entry in flight")
        return FaultResult(name, pending, recovery, drained, time.monotonic() - began, findings)

    def inject_at_once(self, *faults: Callable[[Scenario], int | None]) -> list[int]:
        """Inject `faults` at the same time, under load; return the entries in flight of each.

        A batch may be settled between the look at the queue and the fault, more often on a busy machine. Then they are
        injected again.
        """
        in_flight: list[int] = []
        for _ in range(_TRIES):
            self.traffic.resume()
            before = self.until_busy()
            with ThreadPoolExecutor(len(faults)) as threads:
                injected = [threads.submit(fault, self) for fault in faults]
            in_flight = [before if found.result() is None else found.result() or 0 for found in injected]
            if all(in_flight):
                break
        return in_flight

    def until_flowing(self, name: str) -> float:
        """Return the seconds until a document that is sent now has its receipt."""
        started, since = time.monotonic(), now()
        wanted = tables.receipts.c.trace_id

        def flows() -> bool:
            traces = [sent.trace for sent in self.reader.read().values() if sent.sure and sent.at > since][:500]
            if not traces:
                return False
            with self.engine.connect() as connection:
                return connection.execute(select(wanted).where(wanted.in_(traces)).limit(1)).first() is not None

        try:
            until(flows, seconds=_STUCK_SECONDS, what=f"documents flow again after {name}", every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.ending()}") from error
        return time.monotonic() - started

    def until_drained(self, name: str) -> float:
        """Stop the traffic; return the seconds until nothing waits or is in flight.

        A busy machine may take its time, as long as the number of entries changes.
        """
        self.traffic.pause()
        started = moved = time.monotonic()
        least = self.backlog() + self.pending() + 1
        while left := self.backlog() + self.pending():
            if left < least:
                least, moved = left, time.monotonic()
            if time.monotonic() - moved > _STUCK_SECONDS:
                raise AssertionError(f"{left} entries are stuck after {name}\n{self.ending()}")
            time.sleep(0.05)
        return time.monotonic() - started

    def ending(self) -> str:
        """Return the entries in flight and the end of the workers' log without routine lines, for the message of a
        failure.
        """
        state = {
            "Celery's queue": self.client.llen("copydesk"),
            "pool": self.workers.pool(),
            "mains": self.workers.mains(),
        }
        for lane in (*ALL_LANES, INTERNAL_LANE):
            state[lane] = self.client.xpending_range(lane, GROUP, "-", "+", 3)
        lines = [line for line in self.workers.text().splitlines() if '"info"' not in line and '"rejected"' not in line]
        return "\n".join([*(f"{what}: {found}" for what, found in state.items()), self.store.activity(),
                          *(line[:1500] for line in lines[-25:])])  # fmt: skip

    def arm(self, point: str, action: str = "kill") -> None:
        """Make the next process that reaches the failpoint `point` do `action`, once."""
        (self.points / f"{point}.struck").unlink(missing_ok=True)
        waiting = self.folder / point
        waiting.write_text(action)
        waiting.rename(self.points / point)

    def reached(self, point: str) -> bool:
        return (self.points / f"{point}.struck").exists()

    def disarm(self, point: str) -> None:
        """Forget the failpoint `point`, armed or reached."""
        for name in (point, f"{point}.struck"):
            (self.points / name).unlink(missing_ok=True)


def postgres(scenario: Scenario) -> PostgresStore:
    """Return the scenario's store, for faults of PostgreSQL."""
    assert isinstance(scenario.store, PostgresStore)
    return scenario.store
