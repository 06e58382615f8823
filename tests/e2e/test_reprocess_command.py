"""An operator brings a desk up to a newer pipeline while it serves: counted, foretold, stopped, started again, ended."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest
import redis
from sqlalchemy import create_engine, func, select, update

from tests.support.servers import Background, command, copydesk, environment, until
from worker.settings import INTERNAL_LANE, embedded_redis_url
from worker.store.tables import articles, documents, receipts

DOCUMENTS = 1_200
STORY = "---\ntitle: Story {n}\nwebUrl: https://site{n}.example/story\nquality: 60\n---\nIt was told.\n"

pytestmark = [pytest.mark.long, pytest.mark.timeout(500)]


@pytest.fixture
def desk(tmp_path):
    """The folder of a desk that serves, and an engine on its store; all that it holds was made by an older pipeline."""
    lines = [json.dumps({"raw": STORY.format(n=n), "source": "s", "key": f"{n}.md"}) for n in range(DOCUMENTS)]
    (tmp_path / "stories.jsonl").write_text("\n".join(lines) + "\n")
    assert copydesk("ingest", "stories.jsonl", cwd=tmp_path).returncode == 0
    engine = create_engine(f"sqlite:///{tmp_path}/.copydesk/copydesk.db")
    with engine.begin() as connection:
        connection.execute(update(articles).values(pipeline_version=1, quality=1))
        older = func.replace(documents.c.form, '"quality":60', '"quality":1')
        connection.execute(update(documents).values(pipeline_version=1, form=older, content_hash=b"0" * 16))
    with Background("up", cwd=tmp_path) as up:
        up.says("serves the lanes documents")
        yield tmp_path, engine
    engine.dispose()


def behind(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(articles).where(articles.c.pipeline_version == 1))


def told(folder, *arguments):
    done = copydesk(*arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def on_a_terminal(*arguments, cwd):
    """Run `copydesk …` to its end with a terminal for its talk; returns its exit code and what it showed there."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(command(*arguments), cwd=cwd, env=environment(TERM="xterm", COLUMNS="100"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=terminal)  # fmt: skip
    os.close(terminal)
    shown = bytearray()
    try:
        while piece := os.read(main, 4096):
            shown += piece
    except OSError:
        pass  # Linux says so when the last writer has closed the terminal
    finally:
        os.close(main)
    return process.wait(timeout=200), shown.decode("utf-8", "replace")


def test_a_desk_is_brought_up_to_date_in_two_goes_while_it_serves(desk):
    folder, engine = desk
    assert told(folder, "status")["behind"] == DOCUMENTS
    foretold = told(folder, "reprocess", "--behind")
    assert (foretold["documents"], foretold["changed"]) == (DOCUMENTS, DOCUMENTS)
    assert foretold["fields"] == {"quality": DOCUMENTS}
    assert behind(engine) == DOCUMENTS

    with redis.Redis.from_url(embedded_redis_url(folder / ".copydesk")) as client:
        with Background("reprocess", "--behind", "--yes", cwd=folder) as first:
            until(lambda: behind(engine) < DOCUMENTS, seconds=200, what="the first are done")
            live = client.xadd("documents", {"raw": STORY.format(n="live"), "source": "s", "key": "live.md"}).decode()
            with engine.connect() as connection:
                until(
                    lambda: connection.scalar(select(receipts.c.outcome).where(receipts.c.id == live)),
                    what="it is stored",
                )
            assert first.process.poll() is None, "a live document waited for all of them"
            assert first.interrupt() == 130
        # What was sent is done all the same: the internal lane is part of the desk, not of the command.
        until(lambda: client.xlen(INTERNAL_LANE) == 0, seconds=200, what="what was sent is done")
    left = behind(engine)
    assert 0 < left < DOCUMENTS
    assert told(folder, "reprocess", "--behind")["documents"] == left

    code, shown = on_a_terminal("reprocess", "--behind", "--yes", cwd=folder)
    assert code == 0
    assert f"{left}/{left}" in shown
    assert behind(engine) == 0
    status = told(folder, "status")
    assert status["behind"] == 0
    assert copydesk("audit", cwd=folder).returncode == 0
    with engine.connect() as connection:
        assert (
            connection.scalar(select(func.count()).select_from(articles).where(articles.c.quality == 60))
            == DOCUMENTS + 1
        )
