"""The rows that every item of a batch leaves: raw bytes, dead letters and receipts. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from schemas.problem import Severity
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.change_set import ChangeSet, Operation, Values
from worker.store.decide.documents import ItemResult
from worker.store.decide.stored import StoredDocuments

Outcomes = tuple[BatchItem, ItemResult]


def write_raw(items: Sequence[BatchItem], stored: StoredDocuments, changes: ChangeSet, now: datetime) -> None:
    """Store raw bytes again that maintenance deleted after they were prepared."""
    rows: dict[bytes, Values] = {
        item.sha256: (item.sha256, item.raw_size, item.raw, now)
        for item in items
        if item.sha256 is not None and item.sha256 not in stored.raw
    }
    names = ("sha256", "size", "bytes", "last_seen_at")
    changes.add("raw_documents", Operation.INSERT_MISSING, names, ("sha256",), (rows[d] for d in sorted(rows)))


def problems_of(item: BatchItem, result: ItemResult | None = None) -> list[dict[str, object]]:
    """Return an item's problems as JSON for the store."""
    warnings = result.warnings if result is not None else ()
    return [found.model_dump(mode="json") for found in (*item.problems, *warnings)]


_DEAD_LETTER = (
    "lane",
    "receipt_id",
    "op",
    "source",
    "key",
    "revision",
    "raw_sha256",
    "code",
    "problems",
    "status",
    "edits",
    "created_at",
)


def write_dead_letters(
    changes: ChangeSet, outcomes: Sequence[Outcomes], replays: Collection[int], worker: str, now: datetime
) -> None:
    """Store rejected items as dead letters, and conclude replays.

    An accepted replay closes its dead letter; a rejected one leaves it open with the new problems. A dead letter that
    was replayed twice may be gone: the first replay closed it and maintenance deleted it.
    """
    added, passed, failed, actions = list[Values](), list[Values](), list[Values](), list[Values]()
    for item, result in outcomes:
        code = next((found.code for found in item.problems if found.severity is Severity.ERROR), None)
        problems = problems_of(item, result)
        if item.dead_letter is None:
            if item.rejected:
                added.append(
                    (
                        item.lane,
                        item.id,
                        item.op,
                        item.source,
                        item.key,
                        item.revision,
                        item.sha256,
                        code,
                        problems,
                        "open",
                        0,
                        now,
                    )
                )
            continue
        if item.dead_letter not in replays:
            continue
        if item.rejected:
            failed.append((item.dead_letter, "open", code, problems))
        else:
            passed.append((item.dead_letter, "replayed"))
        action = "failed" if item.rejected else "passed"
        actions.append((item.dead_letter, action, worker, now, str(result.outcome), item.sha256))
    changes.add("dead_letters", Operation.INSERT_MISSING, _DEAD_LETTER, ("lane", "receipt_id"), added)
    changes.add("dead_letters", Operation.UPDATE, ("id", "status", "code", "problems"), ("id",), failed)
    changes.add("dead_letters", Operation.UPDATE, ("id", "status"), ("id",), passed)
    names = ("dead_letter_id", "action", "who", "at", "reason", "raw_sha256")
    changes.add("dead_letter_actions", Operation.INSERT, names, (), actions)


_RECEIPT = (
    "lane",
    "id",
    "outcome",
    "op",
    "source",
    "key",
    "url",
    "article_id",
    "document_id",
    "raw_sha256",
    "problems",
    "changed",
    "received_at",
    "settled_at",
    "worker",
    "attempts",
    "trace_id",
    "timings",
)


def write_receipts(
    changes: ChangeSet, outcomes: Sequence[Outcomes], worker: str, now: datetime, timings: dict[str, float]
) -> None:
    rows = list[Values]()
    for item, result in outcomes:
        rows.append(
            (
                item.lane,
                item.id,
                str(result.outcome),
                item.op,
                item.source,
                item.key,
                result.url,
                result.article_id,
                result.document_id,
                item.sha256,
                problems_of(item, result),
                result.changed,
                item.received_at,
                now,
                worker,
                item.attempts + 1,
                item.trace_id,
                timings,
            )
        )
    changes.add("receipts", Operation.INSERT_MISSING, _RECEIPT, ("lane", "id"), rows)
