"""Articles that wait for the linker are reported by health, by the status snapshot and by the commands."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from tests.integration.store.histories import Put
from tests.integration.store.store_driver import entry, work
from tests.support.servers import copydesk
from worker.errors import Exit
from worker.monitoring.health import check
from worker.monitoring.snapshot import read_store
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import articles

_LATE = "1 articles wait for the linker, the oldest for"


@pytest.fixture
def late(engine):
    """A store with an article that has waited for five minutes."""
    _put_late(engine)
    return engine


def _put_late(engine):
    work(engine, "documents", [entry(1, Put("s", "k", "https://a.example/1", None, (), "A", "x", None, "AAAA"))])
    with engine.begin() as connection:
        connection.execute(update(articles).values(changed_at=datetime.now(UTC) - timedelta(minutes=5)))


def _set_state(engine, state):
    with engine.begin() as connection:
        connection.execute(update(articles).values(link_state=state))


def test_health_names_the_age_of_an_article_that_waits_for_the_linker(late, redis_client):
    assert any(_LATE in remark for remark in check(Settings(), redis_client, late).remarks)
    assert not any(_LATE in remark for remark in check(Settings(link=False), redis_client, late).remarks)
    _set_state(late, "provisional")
    assert not any(_LATE in remark for remark in check(Settings(), redis_client, late).remarks)


def test_the_snapshot_counts_what_the_linker_has_to_do(late):
    linking = read_store(late, is_linking=True).linking
    assert (linking.pending, linking.provisional) == (1, 0)
    assert 299 < linking.oldest_seconds < 400
    _set_state(late, "provisional")
    linking = read_store(late, is_linking=True).linking
    assert (linking.pending, linking.oldest_seconds, linking.provisional) == (0, None, 1)
    _set_state(late, "outdated")
    linking = read_store(late, is_linking=True).linking
    assert (linking.pending, linking.provisional, linking.outdated) == (0, 0, 1)


def test_status_shows_what_the_linker_has_to_do_and_drained_waits_for_it(migrated_sqlite, tmp_path, valkey):
    url = migrated_sqlite(tmp_path / "late.db")
    config = Settings(database_url=url, data_dir=tmp_path)
    engine = make_engine(config)
    _put_late(engine)

    def run(*arguments, **more):
        settings = {"COPYDESK_DATABASE_URL": url, "COPYDESK_REDIS_URL": valkey.url, "COPYDESK_LINK": "true", **more}
        return copydesk(*arguments, cwd=tmp_path, **settings)

    assert json.loads(run("status", "--json").stdout)["linking"]["pending"] == 1
    assert "1 articles are not linked yet, the oldest waits" in run("status").stdout
    for state in ("pending", "provisional"):
        _set_state(engine, state)
        waited = run("status", "--wait-drained", "--timeout", "0.5")
        assert waited.returncode == Exit.TIMED_OUT
        assert "1 articles wait for the linker" in waited.stderr
    assert run("status", "--wait-drained", "--timeout", "0.5", COPYDESK_LINK="false").returncode == Exit.OK
    _set_state(engine, "outdated")
    for command in (["status"], ["explain", "https://a.example/1"]):
        assert "of an older rule" in (shown := run(*command).stdout), command
        assert shown.count("see: copydesk relink") == 1, command
    _set_state(engine, "linked")
    assert "older rule" not in run("status").stdout + run("explain", "https://a.example/1").stdout
    assert run("status", "--wait-drained", "--timeout", "5").returncode == Exit.OK
    engine.dispose()
