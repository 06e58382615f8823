"""A document that cannot be stored: neither its text nor its `secured` value reaches the log."""

from __future__ import annotations

import io
import logging

import pytest

from tests.support.refused_rows import refuse_rows
from worker.runtime import connections, ingestion, tasks
from worker.telemetry import logs

SECURED = "U2VjcmV0U2VjcmV0U2VjcmV0;MDEyMzQ1Njc4OWFiY2RlZg=="
BODY = "The ferry left without a word."
RAW = f'---\ntitle: The ferry\nwebUrl: https://a.example/ferry\nsecured: "{SECURED}"\n---\n{BODY}\n'


@pytest.fixture
def log():
    """Everything that is logged, as JSON."""
    stream, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure(form="json", level="debug,sqlalchemy=info,psycopg=debug", stream=stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    for name in ("sqlalchemy", "psycopg"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def queue(log, become_worker, migrated_store_url):
    """A lane, with this process as its worker."""
    return become_worker(migrated_store_url)


def ingest(queue):
    queue.client.xadd("documents", {"raw": RAW, "key": "1"})
    tasks.ingest("documents", [id_ for id_, _ in queue.dispatch(limit=10, pending_cap=10, max_bytes=1 << 20).entries])


def nothing_is_in(log):
    return not any(part in log.getvalue() for part in (SECURED, SECURED[:24], BODY))


@pytest.mark.parametrize("table", ["raw_documents", "documents", "articles", "receipts"])
def test_a_row_that_the_database_refuses_is_not_in_the_log(queue, log, table):
    refuse_rows(connections.engine(), table)
    ingest(queue)
    assert "cannot be stored" in log.getvalue()
    assert "refused" in log.getvalue()
    assert nothing_is_in(log)


@pytest.mark.parametrize("error", [KeyError(RAW), ValueError(f"not a number: {SECURED}"),
                                   UnicodeEncodeError("utf-8", RAW, 0, 1, "surrogates not allowed")])  # fmt: skip
def test_an_error_that_quotes_the_document_is_logged_without_the_quotation(queue, log, monkeypatch, error):
    original = ingestion.process

    def process(engine, batch, entries, **options):
        if batch.verdict is None:
            raise error
        return original(engine, batch, entries, **options)

    monkeypatch.setattr(ingestion, "process", process)
    ingest(queue)
    assert queue.state().outcomes == {"rejected": 1}
    assert type(error).__name__ in log.getvalue()
    assert "raise error" in log.getvalue(), "the traceback says where it happened"
    assert nothing_is_in(log)
