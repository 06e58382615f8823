"""What operators do with the documents of a running system: list, show, replay, edit, discard, explain, retract."""

from __future__ import annotations

import getpass
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import create_engine, select

from tests.support.servers import Background, copydesk, results, until
from worker.settings import embedded_redis_url
from worker.store import tables

BROKEN = """---
title: One story
excerpt: They call it: the hall
webUrl: https://www.{name}.example/story
---
"""


def mended(name, title="One story"):
    return BROKEN.format(name=name).replace("call it:", "call it").replace("One story", title)


@pytest.fixture(scope="module")
def installation(tmp_path_factory, migrated_sqlite):
    """The folder in which a `copydesk up` runs."""
    folder = tmp_path_factory.mktemp("operators")
    migrated_sqlite(folder / ".copydesk" / "copydesk.db")
    with Background("up", cwd=folder) as up:
        up.says("serves the lanes documents")
        yield folder
        assert up.process.poll() is None, up.text()


@pytest.fixture
def rows(installation):
    engine = create_engine(f"sqlite:///{installation}/.copydesk/copydesk.db")

    def find(table, **wanted):
        with engine.connect() as connection:
            return connection.execute(select(table).filter_by(**wanted)).all()

    yield find
    engine.dispose()


def run(installation, *arguments, code=0):
    done = copydesk(*arguments, cwd=installation)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def push(installation, rows, **fields):
    """Add an entry; returns its receipt."""
    with redis.Redis.from_url(embedded_redis_url(installation / ".copydesk")) as client:
        id_ = client.xadd("documents", fields).decode()
    (receipt,) = until(lambda: rows(tables.receipts, id=id_), what=f"{id_} has an outcome")
    return receipt


@pytest.fixture
def broken(installation, rows):
    """`broken(name)`: add an invalid document and return its dead letter."""

    def make(name, key="story.md"):
        receipt = push(installation, rows, raw=BROKEN.format(name=name), source=name, key=key)
        assert receipt.outcome == "rejected"
        (dead_letter,) = rows(tables.dead_letters, receipt_id=receipt.id)
        return dead_letter

    return make


def concluded(rows, dead_letter, actions):
    """Wait for the last of `actions`; returns all actions on a dead letter."""

    def done():
        found = rows(tables.dead_letter_actions, dead_letter_id=dead_letter.id)
        return found if [row.action for row in found] == actions else None

    return until(done, what=f"{actions} were done to {dead_letter.id}")


def test_a_broken_document_is_listed_and_shown_with_a_caret(tmp_path):
    folder = tmp_path / "stories"
    folder.mkdir()
    (folder / "good.md").write_text(mended("good"))
    (folder / "bad.md").write_text(BROKEN.format(name="bad"))
    ingested = copydesk("ingest", "stories", "--json", "--source", "paper", cwd=tmp_path)
    assert ingested.returncode == 1
    assert results(ingested.stdout)[1]["rejected"] == 1
    # `copydesk up` has stopped; the dead letters can be read all the same.
    listed = run(tmp_path, "dead", "list")
    (line,) = (line for line in listed.stdout.splitlines() if "yaml_unquoted_colon" in line)
    assert re.match(r"yaml_unquoted_colon\W+paper\W+1\W", line)
    (dead_letter,) = map(json.loads, run(tmp_path, "dead", "list", "--json").stdout.splitlines())
    assert (dead_letter["key"], dead_letter["code"], dead_letter["status"], dead_letter["edits"]) == (
        "bad.md",
        "yaml_unquoted_colon",
        "open",
        0,
    )
    for elsewhere in (("--source", "other"), ("--code", "no_title"), ("--text", "no such"), ("--since", "2126-01-01")):
        assert run(tmp_path, "dead", "list", "--json", *elsewhere).stdout == ""
        assert run(tmp_path, "dead", "list", *elsewhere).stdout == "No open dead letters match.\n"
    for here in (("--source", "paper"), ("--code", dead_letter["code"]), ("--text", "bad.md"), ("--since", "1h")):
        assert json.loads(run(tmp_path, "dead", "list", "--json", *here).stdout) == dead_letter
    lines = run(tmp_path, "dead", "show", dead_letter["dead_letter"]).stdout.splitlines()
    assert "from paper, key bad.md" in lines[1]
    at = next(n for n, line in enumerate(lines) if line.startswith("  3 | "))
    assert lines[at] == "  3 | excerpt: They call it: the hall"
    assert lines[at + 1].index("^") == lines[at].index("it:") + 2
    shown = json.loads(run(tmp_path, "dead", "show", dead_letter["dead_letter"], "--json").stdout)
    assert shown["raw"] == BROKEN.format(name="bad")
    run(tmp_path, "dead", "show", 999, code=2)
    run(tmp_path, "dead", "list", "--since", "yesterday", code=2)


def test_a_dry_run_of_a_replay_shows_its_outcome(installation, rows, broken):
    dead_letter = broken("replayed")
    dry = run(installation, "dead", "replay", dead_letter.id, "--json")
    assert json.loads(dry.stdout) == {"passing": 0, "failing": {"yaml_unquoted_colon": 1}, "untried": 0, "replayed": 0}
    assert "would be rejected again" in run(installation, "dead", "replay", dead_letter.id).stdout
    assert rows(tables.dead_letter_actions, dead_letter_id=dead_letter.id) == []
    run(installation, "dead", "replay", "--source", "replayed", "--yes")
    asked, failed = concluded(rows, dead_letter, ["replayed", "failed"])
    assert asked.who.startswith(f"{getpass.getuser()}@")
    assert timedelta() <= datetime.now(UTC) - asked.at < timedelta(minutes=2)
    assert failed.reason == "rejected"
    (after,) = rows(tables.dead_letters, id=dead_letter.id)
    assert (after.status, after.revision) == ("open", dead_letter.revision)
    assert len(rows(tables.dead_letters, source="replayed")) == 1, "a replay that fails is no second dead letter"


def test_an_edit_is_checked_then_stored(installation, rows, broken, tmp_path):
    dead_letter = broken("edited")
    (tmp_path / "bad.md").write_text("---\ntitle: still: broken\n---\n")
    refused = run(installation, "dead", "edit", dead_letter.id, "--file", tmp_path / "bad.md", code=1)
    assert "yaml_unquoted_colon" in refused.stderr
    assert rows(tables.dead_letter_actions, dead_letter_id=dead_letter.id) == []
    (tmp_path / "fixed.md").write_text(mended("edited"))
    run(installation, "dead", "edit", dead_letter.id, "--file", tmp_path / "fixed.md")
    edited, _, passed = concluded(rows, dead_letter, ["edited", "replayed", "passed"])
    assert edited.who.startswith(f"{getpass.getuser()}@")
    assert passed.reason == "stored"
    (paper,) = rows(tables.documents, source="edited")
    assert (paper.key, paper.revision) == ("story.md", f"{dead_letter.revision}#0001")
    (article,) = rows(tables.articles, document_id=paper.id)
    assert article.excerpt == "They call it the hall"
    shown = run(installation, "dead", "show", dead_letter.id).stdout
    assert f"edited by {edited.who}" in shown
    assert "passed by" in shown
    run(installation, "dead", "edit", dead_letter.id, "--file", tmp_path / "fixed.md", code=2)
    run(installation, "dead", "replay", dead_letter.id, "--yes")
    assert rows(tables.dead_letters, id=dead_letter.id)[0].status == "replayed"


def test_editing_an_old_document_keeps_the_newer_version(installation, rows, broken, tmp_path):
    dead_letter = broken("late")
    assert push(installation, rows, raw=mended("late", "The newer"), source="late", key="story.md").outcome == "stored"
    (tmp_path / "fixed.md").write_text(mended("late", "The older"))
    run(installation, "dead", "edit", dead_letter.id, "--file", tmp_path / "fixed.md")
    *_, passed = concluded(rows, dead_letter, ["edited", "replayed", "passed"])
    assert passed.reason == "superseded"
    (paper,) = rows(tables.documents, source="late")
    assert [row.title for row in rows(tables.articles, document_id=paper.id)] == ["The newer"]
    (internal,) = rows(tables.receipts, source="late", lane="copydesk:internal")
    assert internal.outcome == "superseded"


def test_discarding_needs_a_reason_and_is_recorded(installation, rows, broken):
    dead_letter = broken("discarded")
    run(installation, "dead", "discard", dead_letter.id, code=2)
    assert "dry run" in run(installation, "dead", "discard", dead_letter.id, "--reason", "no story").stdout
    assert rows(tables.dead_letters, id=dead_letter.id)[0].status == "open"
    run(installation, "dead", "discard", dead_letter.id, "--reason", "no story", "--yes")
    assert rows(tables.dead_letters, id=dead_letter.id)[0].status == "discarded"
    (done,) = rows(tables.dead_letter_actions, dead_letter_id=dead_letter.id)
    assert (done.action, done.reason) == ("discarded", "no story")
    assert run(installation, "dead", "list", "--json", "--source", "discarded").stdout == ""
    assert "discarded by" in run(installation, "dead", "show", dead_letter.id).stdout
    run(installation, "dead", "replay", dead_letter.id, "--yes")
    assert len(rows(tables.dead_letter_actions, dead_letter_id=dead_letter.id)) == 1, "what is closed is not replayed"


def test_explain_shows_the_history_of_a_document_by_receipt_url_and_key(installation, rows, broken, tmp_path):
    dead_letter = broken("life", "life.md")
    (tmp_path / "fixed.md").write_text(mended("life"))
    run(installation, "dead", "edit", dead_letter.id, "--file", tmp_path / "fixed.md")
    concluded(rows, dead_letter, ["edited", "replayed", "passed"])
    newer = mended("life", "Another title").replace("---\n", "---\nampWebUrl: https://amp.life.example/story\n", 1)
    second = push(installation, rows, raw=newer, source="life", key="life.md")
    assert second.outcome == "updated"
    naming = "---\ntitle: Names it\nwebUrl: https://names.example/1\nrelated: [{title: T, webUrl: https://amp.life.example/story}]\n---\n"
    push(installation, rows, raw=naming, source="names", key="1")
    for wanted in (second.id, "https://www.life.example/story", "http://life.example/story?utm_source=x", "life.md"):
        found = json.loads(run(installation, "explain", wanted, "--json").stdout)
        assert found["article"]["title"] == "Another title", wanted
        assert found["article"]["state"] == "live"
        assert {alias["claim"] for alias in found["article"]["aliases"]} >= {"amp"}
        assert [link["title"] for link in found["article"]["named_by"]] == ["Names it"]
        (document,) = found["documents"]
        assert (document["source"], document["key"], document["shown"]) == ("life", "life.md", True)
        outcomes = {receipt["outcome"]: receipt for receipt in found["receipts"]}
        assert outcomes.keys() >= {"stored", "updated"}
        assert "title" in outcomes["updated"]["changed"]
    by_receipt = json.loads(run(installation, "explain", dead_letter.receipt_id, "--json").stdout)
    assert by_receipt["dead_letters"] == [
        {
            "dead_letter": dead_letter.id,
            "code": "yaml_unquoted_colon",
            "status": "replayed",
            "id": dead_letter.receipt_id,
        }
    ]
    shown = run(installation, "explain", "life.md").stdout
    for sentence in ("(live): Another title", "known as amp", "Names it", "document life / life.md (shown)",
                     "updated, changed title", f"dead letter {dead_letter.id} (replayed)", "error yaml_unquoted_colon"):  # fmt: skip
        assert sentence in shown
    assert "Nothing is known" in run(installation, "explain", "no such key", code=1).stderr


def test_a_url_is_retracted_and_can_still_be_explained(installation, rows):
    url = "https://www.withdrawn.example/story"
    for source in ("one", "two"):
        push(installation, rows, raw=mended("withdrawn", source), source=source)
    dry = run(installation, "retract", url)
    assert "dry run" in dry.stderr
    assert sorted(dry.stdout.splitlines()) == [
        f"would retract {s} / https://withdrawn.example/story" for s in ("one", "two")
    ]
    for source, left in (("two", "one"), ("one", None)):
        done = run(installation, "retract", url, "--source", source, "--yes")
        id_, described = done.stdout.strip().split("\t")
        assert described.startswith(f"{source} / ")
        (receipt,) = until(lambda id_=id_: rows(tables.receipts, id=id_), what="it is retracted")
        assert receipt.outcome == "retracted"
        found = json.loads(run(installation, "explain", url, "--json").stdout)
        assert found["article"]["title"] == left
        assert {row["source"]: row["retracted"] for row in found["documents"]}[source] is True
    run(installation, "retract", url, "--yes", code=1)
    found = json.loads(run(installation, "explain", url, "--json").stdout)
    assert found["article"]["state"] == "orphan"
    assert {"stored", "retracted"} <= {receipt["outcome"] for receipt in found["receipts"]}


def test_the_audit_passes_after_replays(installation, rows):
    """Replays are counted apart from submissions."""
    (lane,) = (
        lane
        for lane in json.loads(run(installation, "status", "--json").stdout)["lanes"]
        if lane["lane"] == "documents"
    )
    assert lane["added"] == lane["settled"] + lane["backlog"]
    assert lane["settled"] == len(rows(tables.receipts, lane="documents"))
    assert json.loads(run(installation, "audit", "--json").stdout)["sound"] is True


def test_an_empty_folder_is_reported_in_a_sentence(tmp_path):
    for command in (("dead", "list"), ("dead", "show", 1), ("explain", "x"), ("retract", "x")):
        done = copydesk(*command, cwd=tmp_path)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1, 2, 3)
        assert done.stdout + done.stderr
