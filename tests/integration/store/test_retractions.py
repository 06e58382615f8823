"""A retraction of a URL applies to the documents of its source that show it, whatever the order of arrival."""

from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import select

from tests.integration.store.snapshot import broken_rules
from tests.integration.store.store_driver import empty, settle, work
from worker.queries.explanation import explain
from worker.queue.lease_queue import Claimed
from worker.settings import INTERNAL_LANE, Settings
from worker.store.decide import decision
from worker.store.decide.identity import revision
from worker.store.engine import make_engine
from worker.store.tables import articles, documents, receipts

URL, OTHER = "https://paper.example/a", "https://paper.example/b"


@pytest.fixture(scope="module")
def module_engine(module_store_url, tmp_path_factory):
    config = Settings(database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    engine = make_engine(config)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(module_engine):
    empty(module_engine)
    return module_engine


def put(number, key, url=URL, source="s", title="One"):
    fields = {b"raw": f"---\ntitle: {title}\nwebUrl: {url}\n---\n".encode(), b"source": source.encode()}
    return Claimed(
        f"{1_700_000_000_000 + number}-0",
        0,
        100,
        {**fields, **({b"key": key.encode()} if key else {})},
        truncated=False,
    )


def retract(number, key=URL, source="s"):
    fields = {b"op": b"retract", b"key": key.encode(), b"source": source.encode()}
    return Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, fields, truncated=False)


def outcome(engine, entry, lane="documents"):
    (version,) = work(engine, lane, [entry])
    return str(version.outcome), [found.code for found in version.problems]


def shown(engine, *, checked=False):
    settle(engine)
    if checked:
        assert broken_rules(engine) == set()
    with engine.connect() as connection:
        return {row.canonical_url: row.title for row in connection.execute(select(articles)) if not row.is_stub}


def test_a_document_under_a_key_is_retracted_by_its_url(engine):
    assert outcome(engine, put(1, "k")) == ("stored", [])
    assert outcome(engine, retract(2, URL + "/?utm_source=x")) == ("retracted", [])
    assert shown(engine) == {}
    assert outcome(engine, put(3, "k", title="Again")) == ("stored", [])
    assert shown(engine) == {URL: "Again"}


def test_a_retraction_without_a_document_gives_a_warning(engine):
    assert outcome(engine, retract(1)) == ("retracted", ["nothing_to_retract"])
    assert outcome(engine, retract(2, "k")) == ("retracted", ["nothing_to_retract"])
    assert outcome(engine, put(3, "k")) == ("stored", [])
    assert outcome(engine, retract(4, OTHER)) == ("retracted", ["nothing_to_retract"])
    assert outcome(engine, retract(5)) == ("retracted", [])
    assert outcome(engine, retract(6)) == ("retracted", ["nothing_to_retract"])
    with engine.connect() as connection:
        kept = connection.scalars(select(receipts.c.problems).order_by(receipts.c.id)).all()
    assert [[found["code"] for found in problems] for problems in kept].count(["nothing_to_retract"]) == 4


def test_a_source_retracts_only_its_own_documents(engine):
    outcome(engine, put(1, "k"))
    outcome(engine, put(2, "k", source="t", title="Theirs"))
    assert outcome(engine, retract(3)) == ("retracted", [])
    assert shown(engine) == {URL: "Theirs"}
    assert outcome(engine, retract(4, source="u")) == ("retracted", ["nothing_to_retract"])
    assert shown(engine) == {URL: "Theirs"}


def test_an_older_version_that_arrives_later_stays_retracted(engine):
    outcome(engine, retract(9))
    assert outcome(engine, put(1, "k")) == ("superseded", [])
    assert shown(engine) == {}
    assert outcome(engine, put(2, "other", OTHER)) == ("stored", [])
    assert outcome(engine, put(3, "other")) == ("superseded", []), (
        "it moved to the retracted URL before that was retracted"
    )
    assert shown(engine) == {}
    assert outcome(engine, put(10, "k", title="New")) == ("stored", [])
    assert shown(engine) == {URL: "New"}


def test_a_retraction_holds_after_a_document_with_the_url_as_its_key(engine):
    outcome(engine, put(1, "k", title="Hidden"))
    outcome(engine, put(7, None, title="New"))
    assert outcome(engine, retract(5)) == ("retracted", []), "older than the document of that key, newer than another"
    assert shown(engine) == {URL: "New"}
    outcome(engine, put(8, URL, OTHER))
    assert shown(engine) == {OTHER: "One"}


def test_a_reprocessed_version_stays_retracted(engine):
    first = put(1, "k")
    outcome(engine, first)
    outcome(engine, retract(2))
    again = {**first.fields, b"revision": revision(first.id, "documents").encode(), b"reprocess": b"99"}
    work(engine, INTERNAL_LANE, [Claimed("1800000000000-0", 0, 100, again, truncated=False)])
    assert shown(engine) == {}


@pytest.mark.parametrize("together", [True, False])
def test_any_order_of_arrival_gives_the_same_store(engine, together):
    """The batch may contain a document that is recognised without being parsed."""
    events = [put(1, "k"), retract(3), put(2, "l", OTHER), put(4, "l")]
    for order in permutations(events):
        empty(engine)
        for part in [order] if together else [[entry] for entry in order]:
            work(engine, "documents", part)
        assert shown(engine) == {URL: "One"}, [entry.id for entry in order]
        with engine.connect() as connection:
            live = connection.scalars(select(documents.c.key).where(~documents.c.retracted)).all()
        assert live == ["l"], [entry.id for entry in order]


def test_a_recognised_version_after_a_retraction_in_its_batch_is_live(engine):
    outcome(engine, put(1, "k"))
    assert [str(v.outcome) for v in work(engine, "documents", [put(2, "k"), retract(3), put(4, "k")])] == [
        "unchanged", "retracted", "stored"
    ]  # fmt: skip
    assert shown(engine) == {URL: "One"}


def test_many_documents_of_one_url_are_retracted_step_by_step(engine, monkeypatch):
    monkeypatch.setattr(decision, "STEP_DOCUMENTS", 10)
    work(engine, "documents", [put(n, f"k{n}", title=f"T{n}") for n in range(35)])
    assert outcome(engine, retract(99)) == ("retracted", [])
    with engine.connect() as connection:
        live = connection.scalars(select(documents.c.key).where(~documents.c.retracted)).all()
    assert len(live) == 25
    assert "k34" not in live, "the newest first: it is what readers saw"
    assert shown(engine, checked=True) == {}


def test_explain_of_a_key_shows_the_retraction_by_url(engine):
    outcome(engine, put(1, "k"))
    outcome(engine, retract(2))
    with engine.connect() as connection:
        found = explain(connection, "k")
    assert {(one["key"], one["retracted"]) for one in found["documents"]} == {("k", True), (URL, True)}
    assert [(one["key"], one["outcome"]) for one in found["receipts"]] == [(URL, "retracted"), ("k", "stored")]


def test_many_retractions_in_one_batch_are_applied(engine):
    work(engine, "documents", [put(n, f"k{n}", f"{URL}{n}") for n in range(100)])
    done = work(engine, "documents", [retract(1000 + n, f"{URL}{n}") for n in range(100)])
    assert {str(version.outcome) for version in done} == {"retracted"}
    assert [version.problems for version in done if version.problems] == []
    assert shown(engine) == {}
