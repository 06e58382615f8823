"""A console in this process on a real store and a real Valkey, and a browser that keeps cookies."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from tests.integration.store.store_driver import work
from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.settings import Settings
from worker.store import tables
from worker.store.engine import make_engine
from worker.store.tables import dead_letters

BASE = "http://localhost:8600"
SECRET = "QUJDREVGR0hJSktMTU5PUFFSU1RVVg==;QUJDREVGR0hJSktMTU5PUA=="
HOSTILE = "<script>alert('1')</script> \"quoted\" & \u202egnp.exe"
BROKEN = f"""---
title: Plans: the harbour wall
secured: "{SECRET}"
webUrl: https://www.harbour.example/wall
---
See https://me:hunter22@www.harbour.example/plans
"""


def document(number, title, **fields):
    """Return an entry with a document of this title under a key of its own."""
    lines = [
        f"title: '{title.replace(chr(39), chr(39) * 2)}'",
        f"webUrl: https://www.harbour.example/{number}",
        *(f"{n}: {v}" for n, v in fields.items()),
    ]
    raw = "\n".join(["---", *lines, "---", "Its text.", ""])
    return Claimed(
        f"{1_700_000_000_000 + number}-0",
        0,
        100,
        {b"raw": raw.encode(), b"source": b"crawler", b"key": f"{number}.md".encode()},
        truncated=False,
    )


def broken(number, raw=BROKEN, source="crawler"):
    return Claimed(
        f"{1_700_000_000_000 + number}-0",
        0,
        100,
        {b"raw": raw.encode(), b"source": source.encode(), b"key": f"{number}.md".encode()},
        truncated=False,
    )


class Browser(TestClient):
    """Sends the form token of the last page, as the browser of a person does."""

    def page(self, path, status=200):
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        self.last = answer.text
        return answer.text

    def submit(self, path, **form):
        """Send a form of the page that was loaded last."""
        form.setdefault("csrf", re.search(r'name="csrf" value="(\w+)"', self.last)[1])
        return self.post(
            path,
            data=form,
            headers={"origin": str(self.base_url).rstrip("/"), "sec-fetch-site": "same-origin"},
            follow_redirects=False,
        )


@pytest.fixture(scope="module")
def config(module_store_url, valkey, tmp_path_factory):
    return Settings(database_url=module_store_url, redis_url=valkey.url, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def store(config):
    """The store that the tests of a module share, with a few articles in it."""
    engine = make_engine(config)
    yield engine
    engine.dispose()


@pytest.fixture
def console_context(config, store, redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    found = ConsoleContext(config, timeout=20)
    yield found
    found.close()


@pytest.fixture
def browser(console_context):
    return Browser(build(console_context, names=frozenset({"localhost"})), base_url=BASE)


@pytest.fixture(scope="module")
def articles(store):
    """The ids of two articles; the first has a hostile title and names the second."""
    work(store, "documents", [
        document(1, HOSTILE, topics="['<b>Ships</b>']", related="[{title: Another, webUrl: 'https://www.harbour.example/2'}]",
                 images="[{url: 'https://img.example/a.png', width: 640, height: 360}]", secured=f'"{SECRET}"'),
        document(2, "A calm one"),
    ])  # fmt: skip
    with store.connect() as connection:
        wanted = [f"https://harbour.example/{number}" for number in (1, 2)]
        found = dict(connection.execute(select(tables.articles.c.canonical_url, tables.articles.c.id)).all())
        return tuple(found[url] for url in wanted)


@pytest.fixture
def dead_letter_id(store):
    """The number of a new open dead letter."""
    number = _Numbers.next()
    work(store, "documents", [broken(number)])
    with store.connect() as connection:
        return connection.scalar(select(dead_letters.c.id).where(dead_letters.c.key == f"{number}.md"))


class _Numbers:
    last = 1000

    @classmethod
    def next(cls):
        cls.last += 1
        return cls.last
