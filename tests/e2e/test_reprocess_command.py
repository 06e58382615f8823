"""An operator reprocesses the store while the system serves: dry run, interruption, second run, end."""

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
def installation(tmp_path):
    """The folder of a running system, and an engine on its store; all its articles were made by an older pipeline."""
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


def answer_of(folder, *arguments):
    done = copydesk(*arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def on_a_terminal(*arguments, cwd):
    """Run `copydesk …` to its end with a terminal as stderr; returns its exit code and what the terminal showed."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(command(*arguments), cwd=cwd, env=environment(TERM="xterm", COLUMNS="100"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=terminal)  # fmt: skip
    os.close(terminal)
    shown = bytearray()
    try:
        while piece := os.read(main, 4096):
            shown += piece
    except OSError:
        pass  # Linux raises this when the last writer has closed the terminal
    finally:
        os.close(main)
    return process.wait(timeout=200), shown.decode("utf-8", "replace")


def test_an_interrupted_reprocess_is_completed_by_a_second_run_while_workers_serve(installation):
    folder, engine = installation
    assert answer_of(folder, "status")["behind"] == DOCUMENTS
    foretold = answer_of(folder, "reprocess", "--behind")
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
        # What was sent is still processed: the internal lane belongs to the workers and not to the command.
        until(lambda: client.xlen(INTERNAL_LANE) == 0, seconds=200, what="what was sent is done")
    left = behind(engine)
    assert 0 < left < DOCUMENTS
    assert answer_of(folder, "reprocess", "--behind")["documents"] == left

    code, shown = on_a_terminal("reprocess", "--behind", "--yes", cwd=folder)
    assert code == 0
    assert f"{left}/{left}" in shown
    assert behind(engine) == 0
    status = answer_of(folder, "status")
    assert status["behind"] == 0
    assert copydesk("audit", cwd=folder).returncode == 0
    with engine.connect() as connection:
        assert (
            connection.scalar(select(func.count()).select_from(articles).where(articles.c.quality == 60))
            == DOCUMENTS + 1
        )
