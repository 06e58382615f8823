"""Write one batch: load, decide and apply under the writer lock, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Engine

from worker.heat_rules import AllRules
from worker.store.batches.apply import apply, apply_writes
from worker.store.batches.load import SqlLoader
from worker.store.batches.references import cached_references
from worker.store.decide import decision
from worker.store.decide.article_rows import parts_of
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.change_set import ChangeSet
from worker.store.decide.decision import ChangedDocument, Context, decide
from worker.store.decide.outcome_rows import RAW_NAMES, raw_rows
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import flights
from worker.store.sql.statements import insertion
from worker.store.tables import raw_documents
from worker.telemetry.failpoints import failpoint


@dataclass(slots=True)
class BatchWriter:
    """Writes batches to a store. `read` parses a recognised item whose stored document changed meanwhile.

    `timings` gets the stages `prepare`, `turn` (until the writer lock is held), `store` (the loads, deciding, and
    sending the first writes) and `lock` (from holding the lock to the commit), in milliseconds.
    """

    engine: Engine
    read: Callable[[BatchItem], None]
    worker: str
    now: datetime
    rules: AllRules
    timings: dict[str, float]

    def write(self, items: Sequence[BatchItem]) -> ChangeSet:
        """Store `items` and set the outcome of each. All of it is committed, or nothing.

        An item that already has a receipt (a redelivery) keeps the outcome of that receipt. If the receipt belongs to
        another document, `id_conflict` is set and nothing of the item is stored. Raises SQLAlchemy's errors.
        """
        while True:
            began = time.perf_counter()
            references = cached_references(self.engine)  # `decide` makes the rows again if they are outdated
            for item in items:
                item.parts = parts_of(item.copy, references) if item.copy is not None else None
            began = self._took("prepare", began)
            failpoint("store.begun")
            try:
                return self._transact(items, began)
            except ChangedDocument as changed:
                for item in items:
                    if item.id in changed.ids:
                        item.recognised = None
                        self.read(item)

    def _transact(self, items: Sequence[BatchItem], began: float) -> ChangeSet:
        """Load, decide and apply under the writer lock. `began`: when the transaction began to wait for it."""
        dialect = self.engine.dialect.name
        with flights(self.engine) as transaction:
            # PostgreSQL stores raw bytes, some 15 ms for 200 documents, before it waits for the lock. Those that maintenance
            # deletes meanwhile are stored again by `decide`.
            if raw := raw_rows((item for item in items if not item.is_raw_stored), self.now):
                transaction.execute(insertion(dialect, raw_documents, RAW_NAMES, raw, '("sha256") DO NOTHING'))
            transaction.lock(WRITER_LOCK)
            loader = SqlLoader(self.engine, transaction)
            ready = partial(apply_writes, transaction, dialect)
            context = Context(self.rules, self.worker, self.now, self.timings, decision.STEP_DOCUMENTS, ready)
            changes = decide(items, loader, context)
            # The receipts, which hold these timings, are sent below. SQLite's clock counts whole milliseconds.
            self.timings["turn"] = round(max(0.0, loader.held_since - began) * 1000, 2)
            self._took("store", loader.held_since)
            failpoint("store.decided")
            apply(transaction, dialect, changes)
            failpoint("store.complete")
            transaction.commit()
            self._took("lock", loader.held_since)
        return changes

    def _took(self, stage: str, since: float) -> float:
        now = time.perf_counter()
        self.timings[stage] = round((now - since) * 1000, 2)
        return now
