"""What a batch needs and did not prepare is found at once, however many documents need it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.store.batches import prepare as preparation
from worker.store.batches import writer
from worker.store.engine import writing
from worker.store.tables import articles, providers, raw_documents

_COUNT = 30


def _process(engine, first, fields):
    entries = [
        Claimed(f"{1_700_000_000_000 + first + n}-0", 0, 100, one, truncated=False) for n, one in enumerate(fields)
    ]
    items = process(engine, Batch("documents", None, "test", 3, Limits()), entries, end_attempt=lambda: None)
    return [str(item.outcome) for item in items]


def _report(source, n):
    raw = f"---\ntitle: Ferry {n}\nwebUrl: https://a{n}.example/ferry\nprovider:\n  name: P\n  domain: {source}{n}.example\n---\n"
    return {b"raw": raw.encode(), b"source": source.encode(), b"key": str(n).encode()}


def test_many_articles_that_fall_back_to_older_documents_are_prepared_together(engine, monkeypatch):
    """Each article shows the document of `newer` until it is retracted; that of `older` names another provider."""
    _process(engine, 0, [_report("older", n) for n in range(_COUNT)])
    _process(engine, 1000, [_report("newer", n) for n in range(_COUNT)])
    preparation._recent.clear()  # as in a process that has just started
    rounds = []

    def counted(*args, **more):
        rounds.append(more)
        return preparation.prepare(*args, **more)

    monkeypatch.setattr(writer, "prepare", counted)
    retractions = [{b"op": b"retract", b"source": b"newer", b"key": str(n).encode()} for n in range(_COUNT)]
    assert _process(engine, 2000, retractions) == ["retracted"] * _COUNT
    assert len(rounds) <= 3


def test_a_lone_document_that_needs_more_than_its_own_rows_is_prepared_again(engine, monkeypatch):
    """It moves to another URL, so the article that it leaves shows an older document, of another provider."""
    rounds = []

    def counted(*args, **more):
        rounds.append(more)
        return preparation.prepare(*args, **more)

    monkeypatch.setattr(writer, "prepare", counted)
    assert _process(engine, 0, [_report("older", 1)]) == ["stored"]
    assert _process(engine, 1000, [_report("newer", 1)]) == ["stored"]
    assert rounds == [], "one document is stored in one transaction"
    preparation._recent.clear()
    moved = {**_report("newer", 2), b"key": b"1"}
    assert _process(engine, 2000, [moved]) == ["updated"]
    assert len(rounds) == 2
    with engine.connect() as connection:
        shown = select(providers.c.domain).join(articles, articles.c.provider_id == providers.c.id)
        assert set(connection.scalars(shown)) == {"older1.example", "newer2.example"}


@pytest.mark.parametrize("documents", [1, 10], ids=["one document", "a batch"])
def test_raw_bytes_that_come_again_are_kept_from_then_on(engine, documents):
    fields = [_report("older", n) for n in range(documents)]
    _process(engine, 0, fields)
    before = datetime.now(UTC)
    for days, moves in ((0.5, False), (2, True)):
        seen = before - timedelta(days=days)
        with writing(engine) as connection:
            connection.execute(update(raw_documents).values(last_seen_at=seen))
        _process(engine, 1000, fields)
        with engine.connect() as connection:
            stored = connection.scalars(select(raw_documents.c.last_seen_at)).all()
        assert [one > seen for one in stored] == [moves] * documents


def test_an_id_that_is_used_again_by_another_source_is_a_conflict(engine):
    """Redis lost its data and gives the id again, to a document with the same bytes from somebody else."""
    fields = _report("older", 1)
    assert _process(engine, 0, [fields]) == ["stored"]
    assert _process(engine, 0, [fields]) == ["stored"], "delivered again"
    assert _process(engine, 0, [{**fields, b"source": b"another"}]) == ["None"], "it gets another id"
