"""The linker as a process: killed, replaced, stopped, and disconnected from its servers."""

import os
import signal
import threading
import time
from datetime import UTC, datetime
from random import Random

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from schemas.change import Change
from tests.integration.linking.newsroom import (
    begin_anew,
    entries,
    finish,
    found,
    fresh_store,
    history,
    invent,
    keep_past,
    new_linker,
    nobody_leads,
    store,
)
from tests.support.servers import until
from worker.linking import process
from worker.linking.process import LinkLoop
from worker.queue.keys import CHANGE_FEED as FEED
from worker.settings import Settings
from worker.store.linking import link_states
from worker.store.tables import articles, leaders, stories


def _waiting(engine):
    with engine.connect() as connection:
        return link_states.pending_count(connection)


def _holder(engine):
    with engine.connect() as connection:
        return connection.execute(select(leaders)).first()


def test_a_killed_leader_is_replaced_within_seconds_without_a_difference(migrated_store_url, tmp_path, linker_process):
    engine = fresh_store(migrated_store_url, tmp_path)
    keep_past(engine, Random(1))
    claimed = entries(history(Random(9), invent(Random(9), 100)))
    store(engine, claimed)
    finish(new_linker(engine))
    expected = found(engine)

    begin_anew(engine)
    nobody_leads(engine)
    whole = _waiting(engine)
    first, second = linker_process(migrated_store_url), linker_process(migrated_store_url)
    until(lambda: _waiting(engine) < whole, what="some are linked", every=0.002)
    led_by = _holder(engine)
    victim = first if led_by.holder.endswith(f":{first.pid}") else second
    assert led_by.holder.endswith(f":{victim.pid}"), "exactly one of them leads"
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    until(lambda: not _waiting(engine), what="the other has linked the rest")
    # If the first has linked everything before it was killed, the second replaces it later.
    until(lambda: _holder(engine).token > led_by.token, what="the other leads")
    again = found(engine)
    for part in expected:
        assert again[part] == expected[part], part
    engine.dispose()


def test_a_stopped_leader_releases_its_lock_and_the_feed_has_its_stories(
    migrated_store_url, tmp_path, linker_process, redis_client
):
    engine = fresh_store(migrated_store_url, tmp_path)
    store(engine, entries(invent(Random(4), 40)))
    leader = linker_process(migrated_store_url)
    until(lambda: not _waiting(engine), what="all are linked")
    with engine.connect() as connection:
        live_stories = set(connection.scalars(select(stories.c.id).where(stories.c.size > 0)))
    assert live_stories

    def carried():
        changes = [
            Change(**{k.decode(): v.decode() for k, v in fields.items()}) for _, fields in redis_client.xrange(FEED)
        ]
        return {change.id for change in changes if change.what == "story" and change.outcome == "changed"}

    until(lambda: carried() >= live_stories, what="the feed carries all stories")
    leader.send_signal(signal.SIGTERM)
    assert leader.wait(timeout=120) == 0
    assert _holder(engine).expires_at <= datetime.now(UTC), "given back, not left to run out"
    follower = linker_process(migrated_store_url)
    until(lambda: _holder(engine).holder.endswith(f":{follower.pid}"), what="another leads")
    engine.dispose()


@pytest.mark.long
def test_an_outage_of_the_store_only_delays_linking(postgres, tmp_path, valkey):
    with postgres.migrated_database() as url:
        engine = fresh_store(url, tmp_path)
        store(engine, entries(invent(Random(4), 20)))
        ended = threading.Event()
        loop = LinkLoop(Settings(database_url=url, redis_url=valkey.url, data_dir=tmp_path), ended)
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            until(lambda: not _waiting(engine), what="all are linked")
            for _ in range(3):
                with engine.begin() as connection:  # breaks every connection of the other processes
                    connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                            "WHERE datname = current_database() AND pid <> pg_backend_pid()"))  # fmt: skip
                time.sleep(0.2)
            store(engine, entries(invent(Random(4), 30))[20:])
            until(lambda: not _waiting(engine), what="the rest is linked")
        finally:
            ended.set()
            thread.join(timeout=30)
        assert not thread.is_alive()
        with engine.connect() as connection:
            assert connection.scalar(select(articles.c.id).where(articles.c.story_id.is_not(None)).limit(1))
        engine.dispose()


def test_a_conflict_is_retried_after_a_pause_and_logged_once(tmp_path, monkeypatch):
    loop = LinkLoop(Settings(database_url=f"sqlite:///{tmp_path}/store.db", data_dir=tmp_path), threading.Event())
    lines = []

    def step():
        raise IntegrityError("", None, psycopg.errors.ForeignKeyViolation("as when an article was removed"))

    monkeypatch.setattr(loop, "_step", step)
    monkeypatch.setattr(process.log, "warning", lambda event, **fields: lines.append(fields["error"]))
    assert [loop._try_step() for _ in range(3)] == [1.0, 1.0, 1.0]
    assert lines == ["An article was removed meanwhile: as when an article was removed"]
    loop._engine.dispose()
