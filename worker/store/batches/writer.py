"""Write one batch: prepare, then load, decide and apply under the writer lock, then what follows the commit."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.reference_documents import ReferenceCopy
from worker.heat_rules import AllRules
from worker.store.batches.apply import apply, apply_writes
from worker.store.batches.load import SqlLoader
from worker.store.batches.load_queries import RECEIPTS
from worker.store.batches.prepare import SharedRows, prepare, queue_preparation
from worker.store.batches.references import load_references
from worker.store.decide import decision
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.decision import Context, Decision, decide
from worker.store.decide.documents import ItemResult, document_keys
from worker.store.decide.identity import revision
from worker.store.decide.rows.article_rows import parts_of
from worker.store.decide.unprepared import Unprepared
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import Flights, flights
from worker.store.sql.statements import Statement, insertion
from worker.store.tables import lanes
from worker.telemetry.failpoints import failpoint

_FUTURE_SECONDS = 86_400
_SMALL_DOCUMENTS, _SMALL_BYTES = 4, 32_768


def is_small(items: Sequence[BatchItem]) -> bool:
    """Return whether a batch is stored in one transaction.

    It holds the writer lock for the raw bytes and for the disk too, some 3 ms longer, and takes a third less time in
    all. A retraction is not small: it often needs rows for an older document. Nor is a replay: the transaction of an
    operator who edits its dead letter locks the same rows in another order.
    """
    size = sum(item.raw_size for item in items)
    is_plain = all(item.op == "put" and item.dead_letter is None for item in items)
    return is_plain and len(items) <= _SMALL_DOCUMENTS and size <= _SMALL_BYTES


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
    known_raw: Mapping[bytes, datetime] = field(default_factory=dict)

    def write(self, items: Sequence[BatchItem]) -> Decision:
        """Store `items` and set the outcome of each. All of it is committed, or nothing.

        An item that already has a receipt (a redelivery) keeps the outcome of that receipt. If the receipt belongs to
        another document, `id_conflict` is set and nothing of the item is stored. Raises SQLAlchemy's errors.
        """
        decided, highest = None, _highest(items, self.now)
        if is_small(items):
            with contextlib.suppress(Unprepared):  # what is missing is found again below
                decided = self._write_at_once(items, highest)
        if decided is None:
            decided = self._write_prepared(items, highest)
        for item in items:
            _set_outcome(item, decided.results[id(item)])
        return decided

    def _write_at_once(self, items: Sequence[BatchItem], highest: Mapping[str, str]) -> Decision:
        """Prepare and store a small batch in one transaction. Raises Unprepared if that needs more than the batch."""
        began = time.perf_counter()
        with flights(self.engine, locks=WRITER_LOCK) as transaction:
            loader = SqlLoader(transaction, self.engine.dialect.name)
            loader.note_lock()
            prepared = queue_preparation(transaction, self.engine, items, self.now)
            began = self._took("prepare", began)
            contents = [content for item in items if (content := item.copy or item.reference) is not None]
            urls = {one.url_hash for one in contents}
            stored = loader.load_ahead(document_keys(items, decision.STEP_DOCUMENTS), urls)
            decided = self._decide(items, prepared(stored.tokens), loader, transaction, began)
            if highest:
                transaction.execute(_raising(self.engine.dialect.name, highest))
            transaction.commit()
            self._took("lock", loader.held_since)
        return decided

    def _write_prepared(self, items: Sequence[BatchItem], highest: Mapping[str, str]) -> Decision:
        """Prepare a batch without the writer lock, store it, and wait for the disk when the lock is released."""
        more: list[EnrichedDocument | ReferenceCopy] = []
        known_raw, is_stale = self.known_raw, False
        while True:
            began = time.perf_counter()
            try:
                shared = prepare(self.engine, items, self.now, known_raw=known_raw, more=more)
                known_raw = {item.sha256: self.now for item in items if item.sha256 is not None}  # not sent again
                failpoint("store.raw")
                began = self._took("prepare", began)
                decided = self._transact(items, shared, began, read_again=is_stale, durable=not highest)
                break
            except Unprepared as needed:
                more += needed.contents
                is_stale = is_stale or needed.is_stale
                for item in items:
                    if item.id in needed.unread:
                        item.recognised = None
                        self.read(item)
        if highest:
            before = {id(item) for item in decided.repeated}
            first = [item for item in items if id(item) not in before][:1]
            committed = [(item.lane, item.id) for item in (*first, *decided.repeated)]
            _raise_highest(self.engine, highest, committed)
        return decided

    def _transact(
        self, items: Sequence[BatchItem], shared: SharedRows, began: float, *, read_again: bool, durable: bool
    ) -> Decision:
        """Load, decide and apply under the writer lock. `read_again`: read the references under the lock too, after
        a try that failed because they had changed. `durable`: wait for the disk, too, before the lock is released.
        """
        with flights(self.engine, locks=WRITER_LOCK, durable=durable) as transaction:
            failpoint("store.begun")
            if read_again:
                shared = replace(shared, references=load_references(transaction))
                for item in items:
                    item.parts = parts_of(item.copy, shared) if item.copy is not None else None
            loader = SqlLoader(transaction, self.engine.dialect.name)
            decided = self._decide(items, shared, loader, transaction, began)
            transaction.commit()
            self._took("lock", loader.held_since)
        return decided

    def _decide(
        self, items: Sequence[BatchItem], shared: SharedRows, loader: SqlLoader, transaction: Flights, began: float
    ) -> Decision:
        """Load, decide, and send the writes. `began`: when the transaction began to wait for the writer lock."""
        dialect = self.engine.dialect.name

        def timings() -> dict[str, float]:
            waited = max(0.0, loader.held_since - began)  # SQLite's clock counts whole milliseconds
            self.timings["turn"] = round(waited * 1000, 2)
            self._took("store", loader.held_since)
            return self.timings

        decided = decide(
            items,
            loader,
            Context(
                shared,
                self.rules,
                self.worker,
                self.now,
                os.urandom(8).hex(),
                timings,
                decision.STEP_DOCUMENTS,
                lambda changes: apply_writes(transaction, dialect, changes),
            ),
        )
        failpoint("store.decided")
        apply(transaction, dialect, decided.changes, loader.drawn)
        failpoint("store.complete")
        return decided

    def _took(self, stage: str, since: float) -> float:
        now = time.perf_counter()
        self.timings[stage] = round((now - since) * 1000, 2)
        return now


def _set_outcome(item: BatchItem, result: ItemResult) -> None:
    item.outcome, item.url, item.article_id = result.outcome, result.url, result.article_id
    item.document_id, item.changed, item.id_conflict = result.document_id, result.changed, result.id_conflict
    item.problems = (*item.problems, *result.warnings)
    if item.id_conflict:
        item.outcome = item.url = item.article_id = None


def _highest(items: Sequence[BatchItem], now: datetime) -> dict[str, str]:
    """Return the highest id of each lane. Ids over a day in the future do not count, because a producer may choose ids."""
    limit = revision(f"{int((now.timestamp() + _FUTURE_SECONDS) * 1000)}-0", "")
    highest: dict[str, str] = {}
    for item in items:
        reached = revision(item.id, "")
        if reached < limit:
            highest[item.lane] = max(reached, highest.get(item.lane, ""))
    return highest


def _raising(dialect: str, highest: Mapping[str, str]) -> Statement:
    conflict = "(name) DO UPDATE SET highest = EXCLUDED.highest WHERE lanes.highest < EXCLUDED.highest"
    return insertion(dialect, lanes, ("name", "highest"), sorted(highest.items()), conflict)


def _raise_highest(engine: Engine, highest: Mapping[str, str], committed: Sequence[tuple[str, str]]) -> None:
    """Store the highest id of each lane, in a transaction of its own: its row would hold up all other batches.

    This transaction also makes the batch durable. PostgreSQL writes its log in order, so when this COMMIT returns, all
    that was committed before is on disk; and it waits for the disk even if no id is raised, because it locks the rows.

    `committed`: (lane, id) of receipts of the batch, one of each transaction that wrote them. If PostgreSQL crashed
    after that commit, they are gone, although this process may not notice the crash: behind a pooler its connection
    survives. Raises OperationalError (08007) then.
    """
    with flights(engine) as transaction:
        found = transaction.fetch(RECEIPTS, {"receipts": list(committed)})
        transaction.execute(_raising(engine.dialect.name, highest))
        transaction.commit()
    if len(found.rows) < len(committed):
        from psycopg.errors import TransactionResolutionUnknown

        raise OperationalError("", None, TransactionResolutionUnknown("the database crashed and lost the last commit"))
