"""No link begins or ends at an article that retention has deleted, whenever it does."""

import threading
from random import Random

import pytest
from sqlalchemy import select

from tests.integration.linking.newsroom import entries, finish, fresh_store, history, invent, new_linker, store
from tests.integration.store.snapshot import broken_rules
from tests.integration.store.store_driver import settle
from worker.jobs.retention import prune
from worker.linking.batch_linking import BatchLinking
from worker.settings import Settings
from worker.store.tables import articles, links

AT_ONCE = Settings(receipt_days=1e-9, raw_days=1e-9, orphan_days=1e-9)
"""An orphan is old as soon as it is committed."""


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    yield engine
    engine.dispose()


def test_an_article_that_is_deleted_after_its_links_were_found_gets_none(engine, monkeypatch):
    invented = invent(Random(4), 40)
    store(engine, entries(invented))
    retracted = [one.__class__(**{**vars(one), "retracted": True}) for one in invented[::2]]
    find, deleted = BatchLinking._find_links, []

    def find_and_delete(self, rows, *values):
        found = find(self, rows, *values)
        if not deleted:
            store(engine, entries([*invented, *retracted])[len(invented) :])
            settle(engine)
            with engine.connect() as connection:
                before = set(connection.scalars(select(articles.c.id)))
            prune(engine, AT_ONCE)
            with engine.connect() as connection:
                deleted.extend(before - set(connection.scalars(select(articles.c.id))))
            assert deleted
            assert any(link.other in deleted for each in found.values() for link in each)
        return found

    monkeypatch.setattr(BatchLinking, "_find_links", find_and_delete)
    finish(new_linker(engine))

    assert broken_rules(engine) == set()
    with engine.connect() as connection:
        ends = connection.execute(select(links.c.source_id, links.c.target_id)).all()
    assert ends
    assert not {id_ for pair in ends for id_ in pair} & set(deleted)


def test_batches_a_linker_and_retention_at_once_leave_no_link_without_its_articles(engine):
    claimed = entries(history(Random(5), invent(Random(5), 90)))
    ended, errors, removed = threading.Event(), [], []

    def sweep():
        try:
            while not ended.is_set():
                removed.append(prune(engine, AT_ONCE).rows)
                ended.wait(0.002)  # others must get the lock
        except Exception as error:
            errors.append(error)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    linker = new_linker(engine)
    for start in range(0, len(claimed), 10):
        store(engine, claimed[start : start + 10])
        linker.step(force=True)
    settle(engine)
    finish(linker)
    ended.set()
    sweeper.join(timeout=60)

    assert errors == []
    assert sum(removed) > 0
    assert broken_rules(engine) == set()
