"""The rows that every item of a batch leaves: raw bytes, dead letters, receipts, the highest id. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from schemas.problem import Severity
from worker.queue.clock import AHEAD_SECONDS
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.change_set import ChangeSet, Operation
from worker.store.decide.identity import revision
from worker.store.decide.stored import Row, StoredDocuments, Values

SEEN_AGAIN = timedelta(days=1)
"""How old `raw_documents.last_seen_at` must be before it is set again."""
RAW_NAMES = ("sha256", "size", "bytes", "last_seen_at")


def raw_rows(items: Iterable[BatchItem], now: datetime) -> list[Values]:
    """Return the rows of the raw bytes of `items`, in the order of their hash: in another one two batches could deadlock."""
    rows = {item.sha256: (item.sha256, item.raw_size, item.raw, now) for item in items if item.sha256 is not None}
    return [rows[digest] for digest in sorted(rows)]


def write_raw(items: Sequence[BatchItem], stored: StoredDocuments, changes: ChangeSet) -> None:
    """Store raw bytes that are not stored yet. Of others the time when they were last seen moves, once a day."""
    now = stored.now
    missing = raw_rows((item for item in items if item.sha256 not in stored.raw), now)
    seen = sorted((digest, now) for digest, last in stored.raw.items() if now - last > SEEN_AGAIN)
    changes.add("raw_documents", Operation.INSERT_MISSING, RAW_NAMES, ("sha256",), missing)
    changes.add("raw_documents", Operation.UPDATE, ("sha256", "last_seen_at"), ("sha256",), seen)


def write_highest(items: Sequence[BatchItem], changes: ChangeSet, now: datetime) -> None:
    """Raise the highest id of each lane. Ids that are ahead of time do not count, because a producer may choose ids.

    Those by which versions are ordered do: a server that lost its data must order all later versions after them. As long as one
    is in the future, because the server's clock was ahead, `lane_repair.store_behind` cannot see a restored store.
    """
    limit = revision(f"{int((now + timedelta(seconds=AHEAD_SECONDS)).timestamp() * 1000)}-0", "")
    highest: dict[str, str] = {}
    for item in items:
        reached = revision(item.id, "")
        other = revision(item.order_id, "") if item.order_id not in (None, item.id) else ""
        reached = max(reached if reached < limit else "", other)
        if reached:
            highest[item.lane] = max(reached, highest.get(item.lane, ""))
    changes.add("lanes", Operation.RAISE, ("name", "highest"), ("name",), sorted(highest.items()))


def _problems(item: BatchItem) -> list[dict[str, object]]:
    """Return an item's problems as JSON for the store."""
    return [problem.model_dump(mode="json") for problem in item.problems]


def write_dead_letters(
    changes: ChangeSet, items: Sequence[BatchItem], replays: Collection[int], worker: str, now: datetime
) -> None:
    """Store rejected items as dead letters, and conclude replays.

    An accepted replay closes its dead letter; a rejected one leaves it open with the new problems. A dead letter that
    was replayed twice may be gone: the first replay closed it and maintenance deleted it.
    """
    added, actions = list[Row](), list[Row]()
    passed, failed = list[Values](), list[Values]()
    for item in items:
        code = next((problem.code for problem in item.problems if problem.severity is Severity.ERROR), None)
        if item.dead_letter is None and item.rejected:
            added.append({
                "lane": item.lane, "receipt_id": item.receipt_id, "op": item.op, "source": item.source, "key": item.key,
                "revision": item.revision, "raw_sha256": item.sha256, "code": code, "problems": _problems(item),
                "status": "open", "edits": 0, "created_at": now,
            })  # fmt: skip
        if item.dead_letter not in replays:
            continue
        if item.rejected:
            failed.append((item.dead_letter, "open", code, _problems(item)))
        else:
            passed.append((item.dead_letter, "replayed"))
        actions.append({
            "dead_letter_id": item.dead_letter, "action": "failed" if item.rejected else "passed", "who": worker,
            "at": now, "reason": str(item.outcome), "raw_sha256": item.sha256,
        })  # fmt: skip
    changes.add_rows("dead_letters", Operation.INSERT_MISSING, added, ("lane", "receipt_id"))
    changes.update("dead_letters", ("id", "status", "code", "problems"), failed)
    changes.update("dead_letters", ("id", "status"), passed)
    changes.add_rows("dead_letter_actions", Operation.INSERT, actions)


def write_receipts(
    changes: ChangeSet, items: Sequence[BatchItem], worker: str, now: datetime, timings: dict[str, float]
) -> None:
    rows: list[Row] = [
        {
            "lane": item.lane, "id": item.receipt_id, "outcome": str(item.outcome), "op": item.op, "source": item.source,
            "key": item.key, "url": item.url, "article_id": item.article_id, "document_id": item.document_id,
            "raw_sha256": item.sha256, "problems": _problems(item), "changed": item.changed,
            "received_at": item.received_at, "settled_at": now, "worker": worker, "attempts": item.attempts + 1,
            "trace_id": item.trace_id, "timings": timings,
        }
        for item in items
    ]  # fmt: skip
    changes.add_rows("receipts", Operation.INSERT_MISSING, rows, ("lane", "id"))
