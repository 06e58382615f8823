"""Ownership of the embedded servers: a second `up`, a one-shot command beside others, and the port for crawlers in
development.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import redis

from tests.e2e.documents import document
from tests.e2e.test_page import block
from tests.support.servers import VALID, Background, copydesk, environment, free_port, processes_naming
from worker.runtime.embedded.ownership import OWNER, USERS, VALKEY, FileLock, is_held


def test_a_writing_command_starts_valkey_and_the_last_user_stops_it(tmp_path):
    assert copydesk("submit", VALID, cwd=tmp_path).returncode == 3, "nothing was ever started here"
    (tmp_path / ".copydesk").mkdir()
    user = FileLock(tmp_path / ".copydesk" / USERS)
    assert user.acquire(shared=True)
    with Background("submit", VALID, cwd=tmp_path) as submit:
        submit.says("Waiting for other commands that use this Valkey")
        assert submit.process.poll() is None
        user.close()
        assert submit.process.wait(timeout=60) == 0, submit.text()
    assert processes_naming(str(tmp_path)) == []
    assert not is_held(tmp_path / ".copydesk" / OWNER)
    waiting = copydesk("submit", "--wait", VALID, cwd=tmp_path)
    assert waiting.returncode == 0, waiting.stderr
    assert "stored" in waiting.stdout or "unchanged" in waiting.stdout
    assert copydesk("status", cwd=tmp_path).returncode == 3
    assert processes_naming(str(tmp_path)) == []


LANGUAGES = {"Shell": "bash", "Python": sys.executable, "PHP": "php", "Ruby": "ruby"}


# `test_page.py` runs the examples of all languages; here one with Redis's own client, which needs the port too.
@pytest.mark.parametrize(
    "languages", [["Shell"], pytest.param(list(LANGUAGES), marks=pytest.mark.long)], ids=["one", "all"]
)
def test_the_examples_for_crawlers_work_unchanged_on_the_port(languages, tmp_path):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with Background("up", "--port", port, cwd=tmp_path) as up:
        up.says(f"REDIS_URL={url}")
        up.says("The worker is ready")  # the shell's example waits some seconds for its receipt
        (tmp_path / "story.md").write_text(document(1, 10))
        with redis.Redis.from_url(url) as client:
            assert client.ping()
        for heading in languages:
            program = LANGUAGES[heading]
            if shutil.which(program) is None or (program == "bash" and shutil.which("redis-cli") is None):
                continue
            example = tmp_path / "example"
            example.write_text(block(heading))
            done = subprocess.run([program, example], cwd=tmp_path, env=environment(REDIS_URL=url), capture_output=True,
                                  text=True, timeout=120, check=False)  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            assert any(outcome in done.stdout for outcome in ("stored", "updated", "unchanged")), (
                done.stdout + done.stderr
            )
        assert f"port {port}" in copydesk("up", "--port", port, cwd=_other(tmp_path)).stderr
    refused = copydesk("up", "--port", port, cwd=tmp_path, COPYDESK_REDIS_URL=url)
    assert refused.returncode == 2


def _remove_while_written(folder):
    """A file that a server writes while its neighbours are removed is removed by the next attempt."""
    attempts = 0
    while folder.exists():
        attempts += 1
        assert attempts < 1000, sorted(folder.iterdir())
        shutil.rmtree(folder, ignore_errors=True)


def _other(folder):
    (folder / "other").mkdir()
    return folder / "other"


@pytest.mark.parametrize("removed", [".", OWNER, pytest.param(VALKEY, marks=pytest.mark.long)])
def test_an_owner_whose_lock_was_removed_stops_before_another_can_begin(tmp_path, removed):
    folder = tmp_path / ".copydesk"
    with Background("up", cwd=tmp_path) as up:
        up.says("serves the lanes documents")
        if removed == ".":
            _remove_while_written(folder)
        else:
            (folder / removed).unlink()
        assert up.process.wait(timeout=60) == 3, up.text()
        assert "was removed" in up.text()
        assert "Traceback" not in up.text()
    assert processes_naming(str(tmp_path)) == []
    done = copydesk("ingest", VALID, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
