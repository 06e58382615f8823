"""Processes that take batches of a history, as pool processes do, and are killed at random moments.

A batch whose process was killed is delivered again, as after an expired lease. A killed process may have committed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from schemas.receipt import Outcome
from tests.integration.store.store_driver import MAX_ATTEMPTS, edit_dead_letter, entry
from worker.documents.limits import Limits
from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import INTERNAL_LANE
from worker.store.engine import is_conflict, is_transient, make_engine

_LONGEST_LIFE_SECONDS = 0.03
"""A process that is killed at random dies within this time after it received a batch; a batch takes 10 to 30 ms."""
_FIRST_MS = 1_700_000_000_000


def _serve(config, end):
    """Process what arrives on the pipe until it closes: (lane, entries), or None for a moment of background work."""
    engine = make_engine(config)
    while True:
        job = end.recv()
        try:
            end.send(_complete(engine) if job is None else _process(engine, *job))
        except Exception as error:
            if not (is_transient(error) or is_conflict(error)):
                end.send(error)
                raise
            end.send("again")


def _complete(engine):
    complete(engine, AllRules(), seconds=0.02)
    return []


def _process(engine, lane, entries):
    batch = Batch(lane, None, f"test:{os.getpid()}", MAX_ATTEMPTS, Limits())
    return [(item.id, item.outcome) for item in process(engine, batch, entries, end_attempt=lambda: None)]


@dataclass(eq=False)
class _Process:
    config: object
    job: object = None
    dies_at: float | None = None
    kills: int = 0
    end: object = field(init=False)
    child: object = field(init=False)

    def __post_init__(self):
        self.start()

    def start(self):
        context = multiprocessing.get_context("fork")  # it starts in milliseconds, with all modules loaded
        self.end, other = context.Pipe()
        self.child = context.Process(target=_serve, args=(self.config, other), daemon=True)
        self.child.start()
        other.close()

    def give(self, job, dies_at):
        self.job, self.dies_at = (job,), dies_at
        self.end.send(job)

    def kill(self):
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.join()
        self.end.close()
        self.kills += 1
        self.dies_at = None


class Processes:
    """`count` processes on one store. They outlive single histories; call `stop` at the end."""

    def __init__(self, config, count):
        self.config = config
        self._all = [_Process(config) for _ in range(count)]

    @property
    def kills(self):
        return sum(one.kills for one in self._all)

    def run(self, random, engine, events, batches, *, deadly=0.3):
        """Process `batches` (number → event) in any order, each by any process; `deadly`: the share of batches whose process
        is killed. Rejected documents are edited and replayed by an operator, who is never killed. Returns id → outcome.
        """
        todo = [("documents", [entry(number, event) for number, event in batch.items()]) for batch in batches]
        outcomes, mended, sent = {}, set(), 0
        while todo or any(one.job for one in self._all):
            for one in self._all:
                if one.job is None and (todo or random.random() < 0.1):
                    is_work = not todo or random.random() < 0.2
                    job = None if is_work else todo.pop(random.randrange(len(todo)))
                    lives = random.random() * _LONGEST_LIFE_SECONDS
                    one.give(job, time.monotonic() + lives if random.random() < deadly else None)
            busy = [one for one in self._all if one.job]
            deaths = [one.dies_at for one in busy if one.dies_at is not None]
            ready = wait([one.end for one in busy], timeout=max(0.0, min(deaths) - time.monotonic()) if deaths else 60)
            assert ready or deaths, "a process hangs"
            for one in busy:
                (job,) = one.job
                if one.end in ready:
                    result, one.job = one.end.recv(), None
                    if isinstance(result, Exception):
                        raise result
                    if result == "again":
                        todo += [job] if job else []
                        continue
                    for id_, outcome in result:
                        assert outcomes.setdefault((job[0], id_), outcome) == outcome, f"{id_} has two outcomes"
                        number = int(id_.partition("-")[0]) - _FIRST_MS
                        if outcome is Outcome.REJECTED and number not in mended:
                            assert job[0] == "documents"
                            mended.add(number)
                            for fields in edit_dead_letter(engine, number, events[number]):
                                sent += 1
                                claimed = Claimed(f"{_FIRST_MS + 10**11 + sent}-0", 0, 100, fields, truncated=False)
                                todo += [(INTERNAL_LANE, [claimed])] * random.choice((1, 1, 2))
                elif one.dies_at is not None and one.dies_at <= time.monotonic():
                    one.kill()
                    todo += [job] if job else []
                    one.job = None
                    one.start()
        return outcomes

    def stop(self):
        for one in self._all:
            one.kill()
