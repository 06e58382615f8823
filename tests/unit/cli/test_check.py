"""What `copydesk check` says of documents."""

from __future__ import annotations

import json

from worker.cli.check import check
from worker.errors import Exit


def test_a_document_without_a_url_is_accepted_only_with_a_key(tmp_path, capsys):
    with_url, without = tmp_path / "a.md", tmp_path / "b.md"
    with_url.write_text("---\ntitle: T\nwebUrl: https://a.example/x\n---\n", "utf-8")
    without.write_text("---\ntitle: T\n---\n", "utf-8")
    assert check([with_url, without]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "accepted",
        "accepted (if it is sent with a key: it has no URL)",
    ]


def test_the_fields_of_a_line_are_checked_as_workers_do(tmp_path, capsys):
    raw = "---\ntitle: T\nwebUrl: https://a.example/x\n---\n"
    lines = [
        {"op": "retract", "key": "x"},
        {"op": "retract"},
        {"raw": raw, "key": "\0"},
        {"raw": raw, "source": "a\nb"},
        {"raw": raw, "key": "\ud800"},
        {"raw": raw + "\ud800"},
        {"raw": raw, "op": "delete"},
        {"raw": raw, "reply_to": "replies:me"},
    ]
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    assert check([file], json_=True) == Exit.REJECTED
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["verdict"], [problem["code"] for problem in one["problems"]]) for one in found] == [
        ("accepted", []),
        ("rejected", ["retract_what"]),
        ("rejected", ["bad_key"]),
        ("rejected", ["bad_source"]),
        ("rejected", ["bad_key"]),
        ("rejected", ["not_utf8"]),
        ("rejected", ["unknown_op"]),
        ("accepted", []),
    ]
