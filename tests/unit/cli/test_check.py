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


def test_jsonl_files_of_a_folder_that_are_skipped_are_counted_in_a_message(tmp_path, capsys):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"value": 1}\n')
    (tmp_path / "c.jsonl").write_text('{"op": "retract", "key": "x"}\n')
    assert check([str(tmp_path)]) == Exit.OK
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path}/c.jsonl:1: accepted\n"
    assert (
        f"2 .jsonl files were skipped, because the first line is no document of the contract: {tmp_path}/a.jsonl"
        in shown.err
    )
