"""Exit codes of commands. A failure prints a sentence and not a traceback."""

from __future__ import annotations

import pytest

from tests.support.servers import VALID, Background, copydesk
from worker.activity.outcome_feed import publish


def ends(expected, *arguments, cwd, **settings):
    run = copydesk(*arguments, cwd=cwd, **settings)
    assert "Traceback" not in run.stderr, run.stderr
    assert run.returncode == expected, run.stderr + run.stdout
    return run


@pytest.fixture
def bad(tmp_path):
    (tmp_path / "bad.md").write_text("no front matter\n")
    return tmp_path / "bad.md"


def test_a_rejected_document_exits_1_with_its_place_and_code(tmp_path, bad):
    run = ends(1, "ingest", bad, cwd=tmp_path)
    assert "bad.md" in run.stderr
    assert "no_front_matter" in run.stderr
    run = ends(1, "check", bad, VALID, cwd=tmp_path)
    assert "no_front_matter" in run.stdout


@pytest.mark.parametrize("arguments", [
    ("ingest",), ("ingest", "--nonsense"), ("nonsense",), ("ingest", "nowhere"), ("check", "nowhere"), ("submit", VALID, "--key", "k"),
], ids=str)  # fmt: skip
def test_wrong_usage_exits_2(tmp_path, arguments):
    ends(2, *arguments, cwd=tmp_path)


def test_an_empty_folder_exits_2(tmp_path):
    (tmp_path / "empty").mkdir()
    ends(2, "ingest", "empty", cwd=tmp_path)


def test_an_invalid_setting_exits_2(tmp_path):
    run = ends(2, "status", cwd=tmp_path, COPYDESK_CONCURRENCY="none")
    assert "COPYDESK_CONCURRENCY is not usable" in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [("ingest", VALID), ("status",), ("submit", VALID), ("up",), ("audit",), ("worker",), ("tail",), ("lane", "list")],
    ids=str,
)
def test_an_unreachable_redis_exits_3(tmp_path, arguments):
    run = ends(3, *arguments, cwd=tmp_path, COPYDESK_REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
    assert "COPYDESK_REDIS_URL" in run.stderr
    assert "hunter2" not in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", VALID),
        ("status",),
        ("db", "upgrade"),
        ("db", "current"),
        ("sources",),
        ("explain", "x"),
        ("dead", "list"),
    ],
    ids=str,
)
def test_an_unreachable_database_exits_3(tmp_path, arguments):
    url = "postgresql://me:hunter2@127.0.0.1:1/copydesk"
    run = ends(3, *arguments, cwd=tmp_path, COPYDESK_DATABASE_URL=url)
    assert "hunter2" not in run.stderr


def test_a_failed_audit_exits_4(tmp_path, redis_client, valkey):
    settings = {"COPYDESK_REDIS_URL": valkey.url}
    ends(0, "audit", cwd=tmp_path, **settings)
    redis_client.xdel("documents", redis_client.xadd("documents", {"raw": "x"}))
    assert "vanished from lane documents" in " ".join(ends(4, "audit", cwd=tmp_path, **settings).stdout.split())


def test_a_wait_that_times_out_exits_5(tmp_path, redis_client, valkey):
    ends(0, "status", cwd=tmp_path, COPYDESK_REDIS_URL=valkey.url)  # creates the store
    ends(5, "submit", VALID, "--wait", "--timeout", "0.5", cwd=tmp_path, COPYDESK_REDIS_URL=valkey.url)


def test_no_arguments_shows_help(tmp_path):
    run = copydesk(cwd=tmp_path)
    assert "ingest" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert run.returncode == 2


def test_ctrl_c_exits_130(tmp_path, valkey, redis_client):
    with Background("tail", "--json", cwd=tmp_path, COPYDESK_REDIS_URL=valkey.url) as tail:
        with redis_client.pipeline() as pipe:
            publish(pipe, lane="l", worker="w", rows=[("1-0", "s", "stored", "k", None, [])])
            pipe.execute()
        tail.says('"outcome": "stored"')
        assert tail.interrupt() == 130
    assert "Traceback" not in tail.text()


def test_a_failing_editor_exits_2(tmp_path, bad):
    ends(1, "ingest", bad, cwd=tmp_path)
    for editor in ("false", "no-such-editor"):
        assert (
            "the editor (VISUAL, EDITOR) failed, and nothing was changed"
            in ends(2, "dead", "edit", "1", cwd=tmp_path, EDITOR=editor, VISUAL="").stderr
        )


def test_an_invalid_filter_of_tail_exits_2(tmp_path):
    ends(2, "tail", "--outcome", "lost", cwd=tmp_path)
