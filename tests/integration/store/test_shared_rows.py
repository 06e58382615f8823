"""Rows that many documents share: providers, topics and raw bytes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, update

from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.store.batches.load import SqlLoader
from worker.store.engine import writing
from worker.store.tables import articles, providers, raw_documents, topics

_COUNT = 30


def _process(engine, first, fields):
    entries = [
        Claimed(f"{1_700_000_000_000 + first + n}-0", 0, 100, one, truncated=False) for n, one in enumerate(fields)
    ]
    items = process(engine, Batch("documents", None, "test", 3, Limits()), entries, end_attempt=lambda: None)
    return [str(item.outcome) for item in items]


def _report(source, n, topics=""):
    raw = (
        f"---\ntitle: Ferry {n}\nwebUrl: https://a{n}.example/ferry\nprovider:\n  name: P\n  domain: {source}{n}.example\n"
        f"topics: [{topics}]\n---\n"
    )
    return {b"raw": raw.encode(), b"source": source.encode(), b"key": str(n).encode()}


def _mentioning(source, n):
    mention = f"{{title: Boat, url: 'https://b{n}.example/boat', provider: {{name: P, domain: {source}{n}.example}}}}"
    raw = f"---\ntitle: Ferry {n}\nwebUrl: https://{source}.example/ferry{n}\nrelated: [{mention}]\n---\n"
    return {b"raw": raw.encode(), b"source": source.encode(), b"key": str(n).encode()}


def _delete_providers(engine, source):
    """As maintenance does, because no article shows them."""
    with writing(engine) as connection:
        shown = select(articles.c.provider_id).where(articles.c.provider_id.is_not(None))
        unused = providers.c.domain.startswith(source) & providers.c.id.not_in(shown)
        assert connection.execute(delete(providers).where(unused)).rowcount == _COUNT


@pytest.fixture
def urls_loads(monkeypatch):
    """The calls of the third load. A second one in a batch is for providers of stubs."""
    calls, original = [], SqlLoader.urls

    def urls(loader, keys):
        calls.append(keys)
        return original(loader, keys)

    monkeypatch.setattr(SqlLoader, "urls", urls)
    return calls


def _shown_domains(engine):
    with engine.connect() as connection:
        return set(
            connection.scalars(select(providers.c.domain).join(articles, articles.c.provider_id == providers.c.id))
        )


def test_articles_that_fall_back_to_older_documents_have_their_providers_at_once(engine, urls_loads):
    """Each article shows the document of `newer` until it is retracted; that of `older` names another provider."""
    _process(engine, 0, [_report("older", n) for n in range(_COUNT)])
    _process(engine, 1000, [_report("newer", n) for n in range(_COUNT)])
    _delete_providers(engine, "older")
    urls_loads.clear()
    retractions = [{b"op": b"retract", b"source": b"newer", b"key": str(n).encode()} for n in range(_COUNT)]
    assert _process(engine, 2000, retractions) == ["retracted"] * _COUNT
    assert len(urls_loads) == 1
    assert _shown_domains(engine) == {f"older{n}.example" for n in range(_COUNT)}


def test_stubs_that_fall_back_to_older_entries_have_their_providers_at_once(engine, urls_loads):
    """Each stub shows the entry of a report of `newer` until this is retracted; the older ones name other providers."""
    _process(engine, 0, [_mentioning("older", n) for n in range(_COUNT)])
    _process(engine, 1000, [_mentioning("newer", n) for n in range(_COUNT)])
    _delete_providers(engine, "older")
    urls_loads.clear()
    retractions = [{b"op": b"retract", b"source": b"newer", b"key": str(n).encode()} for n in range(_COUNT)]
    assert _process(engine, 2000, retractions) == ["retracted"] * _COUNT
    assert len(urls_loads) == 2
    assert _shown_domains(engine) == {"older.example", *(f"older{n}.example" for n in range(_COUNT))}


def test_a_document_that_moves_leaves_its_article_to_an_older_document_of_another_provider(engine):
    assert _process(engine, 0, [_report("older", 1)]) == ["stored"]
    assert _process(engine, 1000, [_report("newer", 1)]) == ["stored"]
    moved = {**_report("newer", 2), b"key": b"1"}
    assert _process(engine, 2000, [moved]) == ["updated"]
    assert _shown_domains(engine) == {"older1.example", "newer2.example"}


@pytest.mark.parametrize("batches", [1, 2], ids=["one batch", "two batches"])
def test_a_topic_has_the_best_spelling_of_all_documents(engine, batches):
    reports = [_report("s", n, topics=name) for n, name in enumerate(["ferries", "Ferries", "FERRIES"])]
    for part in (reports,) if batches == 1 else (reports[:1], reports[1:]):
        _process(engine, 100 * len(part), part)
    with engine.connect() as connection:
        assert connection.scalars(select(topics.c.name)).all() == ["Ferries"]


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
