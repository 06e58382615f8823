"""Slow commands show a progress bar with the remaining time on a terminal, and nothing elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import tempfile
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.store.store_driver import work
from tests.support.commands import COMMANDS
from tests.support.servers import ROOT
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import articles

DOCUMENT = "---\ntitle: A ferry\nwebUrl: https://a.example/ferry\n---\n"
BAD = "---\ntitle: A: ferry\n---\n"


@pytest.fixture(scope="module")
def filled_store(migrated_sqlite, tmp_path_factory):
    """The file of a store with 300 dead letters and 300 articles, to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    engine = make_engine(Settings(database_url=migrated_sqlite(folder / "store.db"), data_dir=folder))
    first = 1_700_000_000_000
    raw = [BAD.encode()] * 300 + [DOCUMENT.replace("ferry\n-", f"ferry{n}\n-").encode() for n in range(300)]
    for start in range(0, 600, 200):
        entries = [Claimed(f"{first + n}-0", 0, 100, {b"raw": raw[n], b"source": b"s", b"key": f"{n}.md".encode()}, truncated=False)
                   for n in range(start, start + 200)]  # fmt: skip
        work(engine, "documents", entries)
    with engine.begin() as connection:
        connection.execute(articles.update().values(changed_at=datetime.now(UTC) - timedelta(days=1)))
    engine.dispose()
    return folder / "store.db"


@pytest.fixture
def run(valkey, redis_client, filled_store, tmp_path):
    """`run(…)`: (what was printed to stdout, what a terminal at stderr showed) of a command, on a copy of `filled_store`."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    shutil.copy(filled_store, data / "copydesk.db")
    environment = {**os.environ, "COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATA_DIR": str(data), "COLUMNS": "100", "TERM": "xterm"}  # fmt: skip

    def run_command(*arguments, terminal=True):
        above, below = pty.openpty()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = COMMANDS.start(list(arguments), cwd=ROOT, env=environment, out=out.fileno(),
                                     err=below if terminal else err.fileno())  # fmt: skip
            os.close(below)
            shown = bytearray()
            with contextlib.suppress(OSError):  # Linux: the last program has closed the terminal
                while terminal and (part := os.read(above, 65536)):
                    shown += part
            code = process.wait(timeout=60)
            os.close(above)
            printed, complained = ((file.seek(0), file.read())[1].decode() for file in (out, err))
        assert code in (0, 1), printed + shown.decode()
        return printed, shown.decode() if terminal else complained

    return run_command


SLOW = [
    ("dead letters", "300/300", ["dead", "replay"]),
    ("dead letters", "300/300", ["dead", "mend", "--replace", "A: ferry", "A ferry"]),
    ("dead letters", "300/300", ["dead", "discard", "--reason", "x", "--yes"]),
    ("documents", "600/600", ["reprocess"]),
    ("articles", "300/300", ["db", "index"]),
    ("rows", "0/", ["db", "prune", "--yes"]),
]


@pytest.mark.parametrize(
    ("unit", "amount", "command"), SLOW, ids=lambda value: value[-1] if isinstance(value, list) else None
)
def test_a_slow_command_shows_a_bar_on_a_terminal_only(run, unit, amount, command):
    out, shown = run(*command)
    assert unit in shown
    assert re.search(r"━", shown)
    assert "━" not in out
    if command != ["reprocess"]:
        assert amount in shown
    out, err = run(*command, terminal=False)
    assert "━" not in out + err


def test_results_reach_standard_output_beside_the_bar(run, tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.md").write_text(DOCUMENT)
    out, shown = run("submit", str(tmp_path))
    assert len(out.splitlines()) == 20
    assert "20/20" in shown


def test_check_shows_a_bar_where_its_results_go_to_a_file(run, tmp_path):
    lines = "".join(json.dumps({"key": f"{n}.md", "raw": DOCUMENT}) + "\n" for n in range(250))
    (tmp_path / "many.jsonl").write_text(lines)
    out, shown = run("check", str(tmp_path / "many.jsonl"))
    assert len(out.splitlines()) == 250
    assert "250/250" in shown
    out, err = run("check", str(tmp_path / "many.jsonl"), terminal=False)
    assert "━" not in out + err


def test_documents_are_counted_with_a_bar_before_they_are_submitted(run, tmp_path):
    lines = "".join(json.dumps({"key": f"{n}.md", "raw": DOCUMENT}) + "\n" for n in range(250))
    (tmp_path / "many.jsonl").write_text(lines)
    out, shown = run("submit", str(tmp_path / "many.jsonl"))
    assert len(out.splitlines()) == 250
    assert "documents found" in shown
    assert "250/250" in shown


def test_check_shows_what_it_read_before_a_line_that_it_cannot_read(run, tmp_path):
    (tmp_path / "bad.jsonl").write_text(json.dumps({"raw": DOCUMENT}) + "\nnot JSON\n")
    with pytest.raises(AssertionError, match="accepted"):  # another exit code than 0 and 1
        run("check", str(tmp_path / "bad.jsonl"))
