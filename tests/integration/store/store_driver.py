"""Workers and an operator in one process: batches pass through the pipeline, and dead letters are edited and replayed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from schemas.receipt import Outcome
from tests.integration.store.histories import Broken, Retract
from worker.dead_letters.replay import replay
from worker.documents.limits import Limits
from worker.enrichment.urls.canonical_urls import document_hash
from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete
from worker.pipeline import Batch, normal_key, process
from worker.queue.lease_queue import Claimed
from worker.settings import INTERNAL_LANE
from worker.store import dead_letters as dead
from worker.store.engine import is_conflict, is_transient, writing
from worker.store.tables import dead_letters, metadata

MAX_ATTEMPTS = 3


def entry(number, event):
    """Return event `number` of a history as a worker claims it."""
    fields = {b"source": event.source.encode()}
    if event.key:
        fields[b"key"] = event.key.encode()
    if isinstance(event, Retract):
        fields[b"op"] = b"retract"
    else:
        fields[b"raw"] = event.text.encode()
    attempts = MAX_ATTEMPTS if isinstance(event, Broken) and event.replayed else 0
    return Claimed(f"{1_700_000_000_000 + number}-0", attempts, 100, fields, truncated=False)


def versions_of(number, event):
    """Return (document, (number, edit)) of each version under which an event is accepted in the end. The newest
    retraction of a URL
    counts whatever the outcome of the document with that key.
    """
    if isinstance(event, Retract) and event.key.startswith("https://"):
        return [(_identity(event), (number, 0)), (("url", event.source, event.key), (number, 0))]
    accepted = event.accepted if isinstance(event, Broken) else [(0, event)]
    return [(_identity(version), (number, edit)) for edit, version in accepted]


def _identity(event):
    return document_hash(event.source, normal_key(event.key) if event.key else event.url)


def empty(engine):
    """Delete every row."""
    deletes = [f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables)]
    with engine.begin() as connection:
        # PostgreSQL accepts them in one message; TRUNCATE would create some hundred files again.
        for statement in ["; ".join(deletes)] if connection.dialect.name == "postgresql" else deletes:
            connection.exec_driver_sql(statement)


def settle(engine):
    """Run the pending re-enrichment, as the worker does beside live documents."""
    assert complete(engine, AllRules(), seconds=60)


def work(engine, lane, entries):
    """Process a batch as `runtime.ingestion` does; again if the store reports a conflict with another batch."""
    while True:
        batch = Batch(lane, None, "test", MAX_ATTEMPTS, Limits())
        try:
            return process(engine, batch, entries, end_attempt=lambda: None)
        except SQLAlchemyError as error:
            if not (is_transient(error) or is_conflict(error)):
                raise


class _Lane:
    """Stands for the client of the internal lane: keeps what is sent."""

    def __init__(self):
        self.sent = []

    def xadd(self, name, fields):
        assert name == INTERNAL_LANE
        self.sent.append({k.encode(): v if isinstance(v, bytes) else str(v).encode() for k, v in fields.items()})


def edit_dead_letter(engine, number, event, wanted=None):
    """Do what an operator does about the dead letter of event `number`; returns the fields of what is sent on the
    internal
    lane. `wanted`: send only these edits.
    """
    with engine.connect() as connection:
        id_ = connection.scalar(select(dead_letters.c.id).where(dead_letters.c.receipt_id == entry(number, event).id))
    lane = _Lane()
    for edit, version in event.accepted:
        if edit:
            raw = version.text.encode()
            with writing(engine) as connection:
                dead_letter = dead.find(connection, dead.Filter(ids=(id_,)))[0]
                assert dead.keep_edit(connection, dead_letter, raw, "operator")
        if wanted is None or edit in wanted:
            assert replay(engine, lane, dead.Filter(ids=(id_,))) == 1
    return lane.sent


class StoreDriver:
    """Batches for one worker or several; replays are inserted at any place, some twice."""

    def __init__(self, random, events, batches):
        self.events = events
        self._random = Random(random.random())
        self._todo = [("documents", [entry(n, event) for n, event in batch.items()]) for batch in batches]
        self._turn = threading.Lock()
        self.edit_lock = threading.Lock()
        """Held while an operator edits and replays a dead letter, which retention may delete after the first replay."""
        self._mended = set()
        self._replays = 0
        self.outcomes = []

    def run(self, *engines):
        """Process the batches with one worker for each engine."""
        if len(engines) == 1:
            self._work(engines[0])
            return
        with ThreadPoolExecutor(len(engines)) as pool:
            for done in [pool.submit(self._work, engine) for engine in engines]:
                done.result()

    def _work(self, engine):
        while True:
            with self._turn:
                if not self._todo:
                    return
                lane, entries = self._todo.pop(0)
            versions = work(engine, lane, entries)
            for version in versions:
                self.outcomes.append(version.outcome)
                if version.outcome is Outcome.REJECTED:
                    assert lane == "documents", version.problems
                    self._operate(engine, int(version.id.partition("-")[0]) - 1_700_000_000_000)

    def _operate(self, engine, number):
        with self._turn:
            if number in self._mended:
                return
            self._mended.add(number)
        with self.edit_lock:
            sent = edit_dead_letter(engine, number, self.events[number])
        with self._turn:
            for fields in sent:
                self._replays += 1
                claimed = Claimed(f"{1_800_000_000_000 + self._replays}-0", 0, 100, fields, truncated=False)
                for _ in range(self._random.choice((1, 1, 2))):
                    self._todo.insert(self._random.randint(0, len(self._todo)), (INTERNAL_LANE, [claimed]))


def alone(engine, events):
    """Process only the latest accepted version of each document, in order."""
    latest = {}
    for number, event in enumerate(events):
        latest.update(versions_of(number, event))
    for number, event in enumerate(events):
        wanted = {edit for at, edit in latest.values() if at == number}
        if not wanted:
            continue
        work(engine, "documents", [entry(number, event)])
        if isinstance(event, Broken):
            for n, fields in enumerate(edit_dead_letter(engine, number, event, wanted)):
                claimed = Claimed(f"{1_900_000_000_000 + number * 10 + n}-0", 0, 100, fields, truncated=False)
                work(engine, INTERNAL_LANE, [claimed])
