"""While few documents arrive each is logged; while many arrive, only the rejected ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from schemas.problem import problem
from schemas.receipt import Outcome
from worker.documents.limits import Limits
from worker.pipeline import Batch
from worker.runtime import batch_logging
from worker.store.decide.batch_item import BatchItem


@pytest.fixture
def logged(monkeypatch):
    """`told(outcome, count)`: the log lines of a batch of so many documents."""
    monkeypatch.setattr(batch_logging, "_rate_gate", batch_logging.RateGate(limit=10))

    def lines(outcome, count):
        problems = (problem("no_title"),) if outcome is Outcome.REJECTED else ()
        versions = [
            BatchItem("documents", f"{n}-0", "r", "s", datetime.now(UTC), outcome=outcome, problems=problems)
            for n in range(count)
        ]
        with capture_logs() as captured:
            batch_logging.log_batch(Batch("documents", None, "host:1", 3, Limits()), versions)
        return [(line["log_level"], line["event"]) for line in captured if line["log_level"] != "debug"]

    return lines


def test_few_documents_are_logged_one_by_one(logged):
    assert logged(Outcome.STORED, 2) == [("info", "Document stored")] * 2 + [("info", "Batch done")]


def test_many_documents_are_left_to_the_summary(logged):
    assert logged(Outcome.STORED, 11) == []


def test_many_documents_in_small_batches_are_left_to_the_summary(logged):
    lines = [line for _ in range(30) for line in logged(Outcome.STORED, 1)]
    assert lines.count(("info", "Document stored")) == 10


def test_rejected_documents_are_always_logged(logged):
    logged(Outcome.STORED, 11)
    assert logged(Outcome.REJECTED, 1) == [("warning", "Document rejected")]


def test_after_a_quiet_minute_documents_are_logged_again():
    now = 0.0
    few = batch_logging.RateGate(limit=10, clock=lambda: now)
    assert not few(100)
    now = 59
    assert not few(1)
    now = 120
    assert few(1)
