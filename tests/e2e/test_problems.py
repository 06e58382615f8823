"""The problems of a document read the same in every output, and every odd entry has a clear outcome."""

import json

import pytest
import redis

from tests.support.servers import Background, copydesk, until
from worker.settings import Settings

BAD = """\
---
title:
  no: text
webUrl: "https://me:secret@problems.example/x"
quality: many
publishedDateTime: 2020-02-30
related:
  - title: Without URL
---
"""
GOOD = "---\ntitle: T\nwebUrl: https://problems.example/good\n---\n"


@pytest.fixture(scope="module")
def up(tmp_path_factory, migrated_sqlite):
    folder = tmp_path_factory.mktemp("problems")
    migrated_sqlite(folder / ".copydesk" / "copydesk.db")
    with Background("up", cwd=folder, COPYDESK_LOG_FORMAT="json") as up:
        up.says("serves the lanes")
        yield folder, up


@pytest.fixture
def crawler(up):
    with redis.Redis.from_url(Settings(data_dir=up[0] / ".copydesk").redis) as client:
        yield client


def receipt(crawler, fields):
    """Return the receipt from the `reply_to` stream; None for an entry that cannot ask for one."""
    replies = f"replies:{crawler.incr('test:replies')}"
    crawler.xadd("documents", {**fields, "reply_to": replies})
    ((_, answer),) = until(lambda: crawler.xrange(replies), what="the receipt is there")
    return json.loads(answer[b"receipt"])


def test_all_problems_are_the_same_objects_everywhere(up, crawler):
    folder, worker = up
    (folder / "bad.md").write_text(BAD)
    checked = json.loads(copydesk("check", "--json", "bad.md", cwd=folder).stdout)
    answer = receipt(crawler, {"raw": BAD, "source": "told-everywhere"})
    assert [found["code"] for found in answer["problems"]] == [
        "wrong_shape", "no_title", "bad_primary_url", "bad_integer", "bad_time", "related_without_url"
    ]  # fmt: skip
    assert (checked["verdict"], answer["outcome"]) == ("rejected", "rejected")
    assert checked["problems"] == answer["problems"]
    listed = copydesk("dead", "list", "--json", cwd=folder)
    dead_letter_rows = [json.loads(line) for line in listed.stdout.splitlines()]
    (dead_letter,) = [dead_letter for dead_letter in dead_letter_rows if dead_letter["id"] == answer["id"]]
    shown = json.loads(copydesk("dead", "show", dead_letter["dead_letter"], "--json", cwd=folder).stdout)
    assert shown["problems"] == answer["problems"]
    lines = [json.loads(line) for line in worker.text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("id") == answer["id"]]
    assert line["problems"] == answer["problems"]
    assert "secret" not in worker.text() + json.dumps(answer) + listed.stdout


@pytest.mark.parametrize(
    ("fields", "outcome", "codes"),
    [
        ({}, "rejected", ["no_raw"]),
        ({"raw": b""}, "rejected", ["empty_document"]),
        ({"raw": GOOD, "op": "drop"}, "rejected", ["unknown_op"]),
        ({"raw": GOOD, "op": b"\xff\x00"}, "rejected", ["unknown_op"]),
        ({"raw": GOOD, "colour": "red"}, None, ["unknown_entry_field"]),
        ({"raw": GOOD, b"\xff\x00\x1b[31m": b"\x00"}, None, ["unknown_entry_field"]),
        ({"raw": GOOD, b"": b""}, None, ["unknown_entry_field"]),
        ({"raw": GOOD, "traceparent": b"\x00\xff"}, None, ["bad_traceparent"]),
        ({"raw": GOOD, **{f"field {n}": "x" for n in range(20_000)}}, None, ["unknown_entry_field"] * 10 + ["too_many_problems"]),
        ({"raw": GOOD, **{f"field {n}": "x" * 20 for n in range(60_000)}}, "rejected", ["unknown_entry_field"] * 10 + ["too_many_problems", "too_large"]),
        ({"raw": GOOD, "key": "k" * 2000}, "rejected", ["bad_key"]),
        ({"raw": GOOD, "source": b"\xff"}, "rejected", ["bad_source"]),
        ({"op": "retract"}, "rejected", ["retract_what"]),
        ({"op": "retract", "raw": b"\xff\x00"}, "rejected", ["retract_what"]),
    ],
    ids=range(14),
)  # fmt: skip
def test_every_odd_entry_has_a_clear_outcome(fields, outcome, codes, crawler):
    answer = receipt(crawler, fields)
    assert [found["code"] for found in answer["problems"]] == codes
    assert answer["outcome"] == outcome or (outcome is None and answer["outcome"] in ("stored", "unchanged", "updated"))


def test_a_reply_to_a_forbidden_key_is_refused_and_nothing_is_written_there(up, crawler):
    targets = (
        "articles",
        "documents",
        "copydesk:outcomes:documents",
        "replies:",
        "REPLIES:x",
        "replies:\x00",
        b"replies:\xff",
    )
    for number, target in enumerate(targets):
        before = crawler.type(target)
        id_ = crawler.xadd("documents", {"raw": GOOD, "reply_to": target, "source": f"elsewhere-{number}"}).decode()
        until(lambda id_=id_: f'"id": "{id_}"' in up[1].text(), what="it is told in the log")
        (line,) = [json.loads(line) for line in up[1].text().splitlines() if f'"id": "{id_}"' in line]
        assert (line["outcome"], line["codes"]) == ("rejected", ["bad_reply_to"])
        assert crawler.type(target) == before
