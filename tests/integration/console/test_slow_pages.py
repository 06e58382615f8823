"""A slow page delays no other one: neither the overview, nor pages that need no server, nor other pages of the store."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sqlalchemy import select, text

from tests.integration.console.conftest import broken, document
from tests.integration.store.store_driver import work
from tests.support.servers import Background, free_port, until
from worker.settings import Settings
from worker.store import tables
from worker.store.engine import make_engine

SECONDS = 3.0
"""Generous, for a busy machine; without other load they take some milliseconds."""
AT_ONCE = 6
OTHERS = ["/", "/login", "/static/console.css", "/lanes", "/tail", "/stories", "/articles/1"]
LARGE = f"---\ntitle: Plans: the wall\nsecured: {'A' * 40}\n---\n".ljust(1 << 20, "A")
MANY_LINES = "---\ntitle: Plans: the wall\n---\n" + "x: <b>\n" * 100_000


@pytest.fixture(scope="module")
def module_store_url(postgres):
    """PostgreSQL, where a table can be locked against readers."""
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture(scope="module")
def site(module_store_url, valkey, tmp_path_factory):
    """Return (the address of a console in a process of its own, an engine of its store)."""
    folder, port = tmp_path_factory.mktemp("console"), free_port()
    config = Settings(database_url=module_store_url, data_dir=folder)
    engine = make_engine(config)
    work(engine, "documents", [document(1, "A calm one"), broken(2), broken(3, LARGE), broken(4, MANY_LINES)])
    base = f"http://127.0.0.1:{port}"
    with Background(
        "console", "--port", port, cwd=folder, COPYDESK_DATABASE_URL=module_store_url, COPYDESK_REDIS_URL=valkey.url
    ):
        until(lambda: answers(base), what="the console answers")
        yield base, engine
    engine.dispose()


def answers(base):
    try:
        return all(get(base, path) == 200 for path in OTHERS)
    except OSError:
        return False


def get(base, path):
    try:
        with urlopen(base + path, timeout=60) as answer:
            answer.read()
            return answer.status
    except HTTPError as error:
        return error.code


def assert_others_answer(base):
    for path in OTHERS:
        began = time.monotonic()
        assert get(base, path) == 200, path
        assert time.monotonic() - began < SECONDS, path


def test_waiting_reads_of_the_store_delay_no_other_page(site):
    base, engine = site
    blocked = ["/dead", "/dead/letters", "/dead/1", "/search?q=1700000000002-0"]
    with ThreadPoolExecutor(len(blocked) * AT_ONCE) as pool:
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE"))
            waiting = [pool.submit(get, base, path) for path in blocked * AT_ONCE]
            until(lambda: _are_blocked(engine), what="the pages wait for the lock")
            assert_others_answer(base)
            assert not any(one.done() for one in waiting)
        assert {one.result() for one in waiting} == {200}


def _are_blocked(engine):
    with engine.connect() as connection:
        count = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'dead_letters'::regclass"
        return connection.scalar(text(count)) >= 4


@pytest.mark.parametrize("number", [3, 4])
def test_the_largest_dead_letters_delay_no_other_page(site, number):
    base, engine = site
    with engine.connect() as connection:
        dead_letter_rows = tables.dead_letters.c
        id_ = connection.scalar(select(dead_letter_rows.id).where(dead_letter_rows.key == f"{number}.md"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(get, base, f"/dead/{id_}") for _ in range(AT_ONCE)]
        assert_others_answer(base)
        assert {one.result() for one in waiting} == {200}
