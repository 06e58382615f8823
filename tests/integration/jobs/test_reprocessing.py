"""Reprocessing: stored documents pass through the current pipeline, on a real lane."""

import threading

import pytest
from sqlalchemy import func, select, text, update

from tests.integration.store.histories import Put, Reference
from tests.integration.store.snapshot import snapshot
from tests.integration.store.store_driver import entry, work
from worker.documents.limits import Limits
from worker.jobs.reprocessing import Filter, ReprocessStalled, count, forecast, reprocess
from worker.queue.lease_queue import LeaseQueue
from worker.settings import INTERNAL_LANE, Settings
from worker.store.engine import make_engine
from worker.store.receipts import behind
from worker.store.tables import articles, documents, receipts


def put(n, **more):
    fields = {"key": f"k{n}", "url": f"https://site{n}.example/story", "amp": None, "related": (), "title": f"T{n}",
              "topic": "x", "image": None, "secured": "AAAA", "quality": 60, **more}  # fmt: skip
    return Put("s", **fields)


EVENTS = [
    put(1, related=("https://site2.example/story",)),
    put(2),
    Reference("s", "o", ("taxonomy: topic", "name: X", "keywords: [t2]")),
]


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    work(engine, "documents", [entry(n, event) for n, event in enumerate(EVENTS)])
    yield engine
    engine.dispose()


def made_by_an_older_pipeline(engine):
    """The second article as an older pipeline stored it."""
    with engine.begin() as connection:
        document = connection.scalar(select(documents.c.id).where(documents.c.key == "k2"))
        form = connection.scalar(select(documents.c.form).where(documents.c.id == document))
        older = {"form": form.replace('"T2"', '"t two"'), "content_hash": b"0" * 16, "pipeline_version": 1}
        connection.execute(update(documents).where(documents.c.id == document).values(older))
        shown = update(articles).where(articles.c.document_id == document)
        connection.execute(shown.values(title="t two", pipeline_version=1))


def stored_rows(engine):
    with engine.connect() as connection:
        return snapshot(connection)


def worker(engine, client, stop):
    """Process the internal lane, as a worker does."""
    queue = LeaseQueue(client, INTERNAL_LANE)
    while not stop.wait(0.01):
        ids = [id_ for id_, _ in queue.dispatch(limit=2, pending_cap=10, max_bytes=1 << 20).entries]
        if ids:
            entries = queue.claim("w", ids, lease_seconds=60, max_bytes=1 << 20)
            versions = work(engine, INTERNAL_LANE, entries)
            queue.settle((version.id, str(version.outcome)) for version in versions)


@pytest.fixture
def live_worker(engine, redis_client):
    stop = threading.Event()
    LeaseQueue(redis_client, INTERNAL_LANE).ensure()
    thread = threading.Thread(target=worker, args=(engine, redis_client, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


def test_an_older_article_is_brought_up_to_date_and_nothing_else_changes(engine, redis_client, live_worker):
    expected = stored_rows(engine)
    made_by_an_older_pipeline(engine)
    with engine.connect() as connection:
        assert behind(connection) == 1
    outcomes = reprocess(engine, redis_client, Filter(behind=True))
    assert outcomes == {"updated": 1}
    assert stored_rows(engine) == expected
    with engine.connect() as connection:
        assert behind(connection) == 0


def test_current_articles_are_unchanged_and_counted_apart(engine, redis_client, live_worker):
    expected, submitted = stored_rows(engine), select(func.count()).where(receipts.c.lane != INTERNAL_LANE)
    with engine.connect() as connection:
        before = connection.scalar(submitted)
    assert reprocess(engine, redis_client, Filter()) == {"unchanged": 3}
    assert stored_rows(engine) == expected
    with engine.connect() as connection:
        assert connection.scalar(submitted) == before == 3


def test_a_document_that_changed_meanwhile_wins(engine, redis_client):
    client, sent = redis_client, []
    queue = LeaseQueue(client, INTERNAL_LANE)
    with pytest.raises(ReprocessStalled):
        reprocess(engine, client, Filter(url="https://site2.example/story"), timeout=0)
    work(engine, "documents", [entry(9, put(2, title="Newer"))])
    expected = stored_rows(engine)
    ids = [id_ for id_, _ in queue.dispatch(limit=9, pending_cap=10, max_bytes=1 << 20).entries]
    sent = work(engine, INTERNAL_LANE, queue.claim("w", ids, lease_seconds=60, max_bytes=1 << 20))
    assert [str(version.outcome) for version in sent] == ["superseded"]
    assert stored_rows(engine) == expected


def test_a_dry_run_shows_the_changes_and_makes_none(engine):
    made_by_an_older_pipeline(engine)
    expected = stored_rows(engine)
    found = forecast(engine, Filter(), Limits())
    assert (found.seen, found.changed, found.passing) == (3, 1, 3)
    assert found.fields == {"title": 1}
    assert stored_rows(engine) == expected


@pytest.mark.parametrize(
    ("wanted", "documents_found"),
    [
        (Filter(), 3),
        (Filter(source="s"), 3),
        (Filter(source="t"), 0),
        (Filter(kind="article"), 2),
        (Filter(kind="Topic"), 1),
        (Filter(url="http://www.site1.example/story/"), 1),
        (Filter(code="single_value"), 0),
        (Filter(behind=True), 0),
    ],
)
def test_filters_select_the_articles(engine, wanted, documents_found):
    assert count(engine, wanted) == documents_found


def test_a_problem_of_the_receipt_selects_the_article(engine):
    with engine.begin() as connection:
        values = {"problems": [{"code": "single_value", "severity": "warning"}]}
        connection.execute(update(receipts).where(receipts.c.key == "k1").values(values))
    assert count(engine, Filter(code="single_value")) == 1
    assert count(engine, Filter(code="single_valu_")) == 0
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM receipts")) == 3
