"""Wrong usage and unreachable servers: a sentence that says what to do, no traceback, and no file is created."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sqlite3
import tempfile
from pathlib import Path

import pytest

from tests.support.servers import Valkey
from worker.cli import app as main
from worker.cli import failures
from worker.errors import Exit
from worker.settings import settings

NOWHERE = "redis://:hunter2@127.0.0.1:1/0"


@pytest.fixture
def ends(tmp_path, monkeypatch, capfd):
    """`ends(code, line, **settings)`: run a command in an empty folder; returns its output."""
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()

    def run(code, line, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(f"COPYDESK_{name}", value)
        with pytest.raises(SystemExit) as ended:
            main.run(shlex.split(line))
        shown = capfd.readouterr()
        sentence = shown.out + shown.err
        assert ended.value.code == code, sentence
        assert "Traceback" not in sentence
        assert "hunter2" not in sentence
        return sentence

    yield run
    settings.cache_clear()


@pytest.mark.parametrize(("name", "value", "sentence"), [
    ("REDIS_URL", "http://:hunter2@host", "COPYDESK_REDIS_URL is not usable: it must look like redis://"),
    ("REDIS_URL", "localhost:6379", "COPYDESK_REDIS_URL is not usable: it must look like redis://"),
    ("REDIS_URL", "redis://:hunter2@host:six/0", "COPYDESK_REDIS_URL is not usable: its port is not a number"),
    ("REDIS_URL", "redis+sentinel://:hunter2@host", "COPYDESK_REDIS_URL is not usable: a Sentinel URL names"),
    ("DATABASE_URL", "mysql://me:hunter2@host/x", "COPYDESK_DATABASE_URL is not usable: it must look like postgresql://"),
    ("DATABASE_URL", "nonsense", "COPYDESK_DATABASE_URL is not usable"),
    ("DATABASE_URL", "postgresql://me:hunter2@host:six/x", "COPYDESK_DATABASE_URL is not usable: its port is not a number"),
    ("LANES", "documents=many", "COPYDESK_LANES is not usable: lane 'documents': the weight must be a number"),
    ("LOG_LEVEL", "loud", "COPYDESK_LOG_LEVEL is not usable: log level 'loud' is none of"),
    ("CONCURRENCY", "none", "COPYDESK_CONCURRENCY is not usable: input should be a valid integer"),
    ("LEASE_SECONDS", "1", "COPYDESK_LEASE_SECONDS is not usable: must hold: statement_seconds <="),
])  # fmt: skip
def test_a_setting_that_is_wrong_is_named(ends, name, value, sentence):
    printed = ends(Exit.USAGE, "health", **{name: value})
    assert sentence in printed
    assert "pydantic" not in printed


@pytest.mark.parametrize("url", [
    "redis://", "redis://host", "redis://host:6379/0", "rediss://user:p%3A@host:1/0", "redis://[::1]:6379/0", "unix:///a/b.sock?db=1",
    "redis+sentinel://a:1,b:2/main/0", "rediss+sentinel://u:p@a,b/main",
])  # fmt: skip
def test_every_form_of_a_redis_url_is_parsed(ends, url):
    settings.cache_clear()
    assert "not usable" not in ends(Exit.UNREACHABLE, "health", REDIS_URL=url)  # there is no store in this folder


@pytest.mark.parametrize("line", [
    "status", "status --watch", "status --wait-drained", "audit", "health", "tail --seconds 1", "sources", "explain x", "dead list",
    "dead show 1", "dead replay --yes", "dead discard --reason x --yes", "stories", "lane list", "lane pause documents",
    "lane repair documents", "retract x", "reprocess", "relink", "db current", "db check", "db prune", "submit -",
])  # fmt: skip
def test_a_command_in_a_folder_without_data_says_where_to_go_and_creates_none(ends, tmp_path, monkeypatch, line):
    monkeypatch.setattr("sys.stdin", (tmp_path / "empty").open("w+"))
    (tmp_path / "story.md").write_text("---\ntitle: T\n---\n")
    printed = ends(Exit.UNREACHABLE, line.replace("submit -", "submit story.md"))
    assert "COPYDESK_DATA_DIR" in printed
    assert "copydesk up" in printed
    assert not (tmp_path / ".copydesk").exists()


@pytest.mark.parametrize("line", ["ingest story.md --lane documets", "lane pause documets", "lane repair documets"])
def test_a_lane_that_is_not_configured_is_refused_with_the_names_of_the_lanes(ends, tmp_path, line):
    (tmp_path / "story.md").write_text("---\ntitle: T\n---\n")
    message = " ".join(ends(Exit.USAGE, line, LANES="documents=4,bulk=1").replace("│", " ").split())
    assert "COPYDESK_LANES has no lane 'documets'; the lanes are documents, bulk" in message
    assert not (tmp_path / ".copydesk").exists()


@pytest.mark.parametrize("command", ["ingest", "submit"])
@pytest.mark.parametrize(
    ("paths", "named"), [("good.md missing.md", "missing.md"), ("good.md bad.jsonl", "bad.jsonl:2")]
)
def test_nothing_is_submitted_or_created_if_a_path_or_a_line_cannot_be_read(ends, tmp_path, command, paths, named):
    (tmp_path / "good.md").write_text("---\ntitle: T\n---\n")
    (tmp_path / "bad.jsonl").write_text('{"raw": "a"}\n{"raw": 5}\n')
    assert named in ends(Exit.USAGE, f"{command} {paths}")
    assert not (tmp_path / ".copydesk").exists()


def test_an_unreachable_redis_is_distinguished_from_the_database(ends):
    printed = ends(Exit.UNREACHABLE, "lane list", REDIS_URL=NOWHERE)
    assert "Redis is not running at 127.0.0.1:1." in printed
    assert "COPYDESK_REDIS_URL" in printed
    assert "DATABASE" not in printed


def test_an_unreachable_database_is_reported_in_one_line(ends):
    printed = ends(Exit.UNREACHABLE, "dead list", DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/copydesk")
    assert len(printed.splitlines()) == 2
    assert "COPYDESK_DATABASE_URL" in printed


@pytest.mark.parametrize("line", ["explain x", "sources", "dead list", "db check", "db prune", "retract x"])
def test_a_store_without_tables_is_reported_with_the_command_that_creates_them(ends, tmp_path, line):
    (tmp_path / ".copydesk").mkdir()
    sqlite3.connect(tmp_path / ".copydesk" / "copydesk.db").close()
    assert "run copydesk db upgrade" in ends(Exit.UNSOUND, line)


def test_a_store_of_a_later_version_is_left_alone(ends, tmp_path):
    (tmp_path / ".copydesk").mkdir()
    with sqlite3.connect(tmp_path / ".copydesk" / "copydesk.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    assert "of a later version" in ends(Exit.UNSOUND, "db upgrade")
    assert "of a later version" in ends(Exit.UNSOUND, "explain x")


def test_a_foreign_database_is_left_alone(ends, tmp_path):
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE articles (id INTEGER)")
    assert "is not Copydesk's" in ends(Exit.UNSOUND, "db upgrade", DATABASE_URL=f"sqlite:///{path}")


def test_a_folder_that_cannot_be_created_is_named(ends, tmp_path):
    (tmp_path / "file").write_text("")
    printed = ends(Exit.USAGE, "db upgrade", DATA_DIR=str(tmp_path / "file" / "desk"))
    assert str(tmp_path / "file") in printed


def test_a_missing_password_is_reported(ends, valkey_with_password):
    printed = ends(Exit.UNREACHABLE, "lane list", REDIS_URL=valkey_with_password)
    assert "asks for a password" in printed


def test_a_wrong_password_is_reported(ends, valkey_with_password):
    url = valkey_with_password.replace("unix://", "unix://:hunter2@")
    assert "does not know the user or password" in ends(Exit.UNREACHABLE, "lane list", REDIS_URL=url)


@pytest.fixture(scope="module")
def valkey_with_password():
    server = Valkey(credentials=":another", extra=["--requirepass", "another"]).start()
    yield f"unix://{server.socket}"
    server.stop()


def test_a_misspelt_setting_is_named_by_a_command(ends):
    sentence = ends(Exit.OK, "schema export --help", CONCURENCY="hunter2")
    assert (
        "copydesk: COPYDESK_CONCURENCY is no setting, so it changes nothing. Is COPYDESK_CONCURRENCY meant?" in sentence
    )


def test_a_misspelt_setting_is_named_in_the_log_of_a_server_command(ends, monkeypatch, tmp_path):
    monkeypatch.setattr("worker.console.server.serve", lambda *_, **__: None)
    sentence = ends(Exit.OK, "console", CONCURENCY="2", REDIS_URL=NOWHERE, LOG_FORMAT="json",
                DATABASE_URL=f"sqlite:///{tmp_path}/x.db")  # fmt: skip
    assert sentence.count("COPYDESK_CONCURENCY is no setting") == 1
    assert '"level": "warning"' in sentence


def test_a_folder_of_another_user_is_named_with_its_owner_and_what_to_do(tmp_path, capfd):
    """The whole path, also of the default folder, which is relative."""
    child = os.fork()
    if child == 0:
        folder = Path(tempfile.mkdtemp())
        (folder / ".copydesk").mkdir(mode=0o000)
        folder.chmod(0o755)
        os.chdir(folder)
        if os.geteuid() == 0:
            os.setuid(65534)
        failures.explain_failure(PermissionError(errno.EACCES, "Permission denied", ".copydesk/owner.lock"))
        os._exit(0)
    os.waitpid(child, 0)
    sentence = capfd.readouterr().err
    assert re.search(
        r"copydesk: /\S+/\.copydesk/owner\.lock: permission denied for \w+\. It belongs to \w+\.", sentence
    )
    assert "or set COPYDESK_DATA_DIR to a folder of yours" in sentence
