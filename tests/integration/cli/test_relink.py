"""`copydesk relink` says what it concerns, and waits until the linker of a worker has linked it again."""

from __future__ import annotations

import json
import threading
from random import Random

import pytest

from tests.integration.linking.newsroom import (
    entries,
    finish,
    found,
    invent,
    keep_past,
    new_linker,
    nobody_leads,
    store,
)
from tests.support.databases import SQLITE_BY_DEFAULT
from worker.cli import app as main
from worker.linking.process import LinkLoop
from worker.settings import settings
from worker.store.engine import make_engine


@pytest.fixture
def engine(valkey, redis_client, migrated_store_url, tmp_path, monkeypatch):
    """A store with links."""
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    monkeypatch.setenv("COPYDESK_DATABASE_URL", migrated_store_url)
    monkeypatch.setenv("COPYDESK_DATA_DIR", str(tmp_path))
    settings.cache_clear()
    engine = make_engine(settings())
    keep_past(engine, Random(1))
    store(engine, entries(invent(Random(3), 60)))
    finish(new_linker(engine))
    yield engine
    engine.dispose()
    settings.cache_clear()


@pytest.fixture
def relink(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.run(["relink", *arguments])
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return run


@pytest.fixture
def linker(engine):
    """A linker that works beside the test."""
    ended = threading.Event()
    thread = threading.Thread(target=LinkLoop(settings(), ended).run)
    nobody_leads(engine)
    thread.start()
    yield
    ended.set()
    thread.join(timeout=30)


def test_a_dry_run_counts_and_changes_nothing(engine, relink):
    before = found(engine)
    code, out, err = relink("--since", "2020-01-01", "--json")
    assert code == 0
    counts = json.loads(out)
    assert counts == {
        "articles": 60,
        "links": len(before["links"]) // 2,
        "stories": len(before["stories"]),
        "waiting": 0,
    }
    assert relink("--since", "2020-05-10", "--until", "2020-05-20", "--json")[1] != out
    code, out, err = relink("--since", "2020-01-01")
    assert "60 articles" in out
    assert "Add --yes" in err
    assert found(engine) == before


def test_with_yes_everything_is_linked_again_and_the_action_is_recorded(engine, relink, linker, capsys):
    before = found(engine)
    code, out, _ = relink("--since", "2020-01-01", "--yes", "--json")
    assert code == 0
    counts = json.loads(out.splitlines()[-1])  # the linker of this test logs to the same stream
    assert counts["after"] == counts["before"]
    assert found(engine) == before
    with pytest.raises(SystemExit):
        main.run(["actions", "--json"])
    [action] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert action["action"] == "relink"
    assert action["subject"].startswith("60 articles published from 2020-01-01")


@SQLITE_BY_DEFAULT
@pytest.mark.parametrize(
    "arguments", [("--since", "soon"), ("--until", "soon"), ("--since", "2021-01-01", "--until", "2020-01-01")]
)
def test_times_that_cannot_be_read_or_are_in_the_wrong_order_are_refused(engine, relink, arguments):
    assert relink(*arguments, "--yes")[0] == 2
