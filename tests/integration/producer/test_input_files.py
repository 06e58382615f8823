"""Paths on the command line: which files are read, under which key, and what is refused."""

import io
import json
import os
import subprocess
import sys

import pytest

from schemas.envelope import parse_envelope
from worker.producer import input_files
from worker.producer.input_files import UnreadablePath, count_documents, read_paths


def read(*paths):
    """Return the submissions; the count is theirs, or both raise."""
    names = [str(path) for path in paths]
    count = count_documents(names)
    submissions = list(read_paths(names, source="s"))
    assert count == len(submissions)
    return submissions


def test_a_folder_is_searched_and_the_key_is_the_path_below_it(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/two.markdown", "one.md", "three.TXT", "not.html", "b/neither.yml"):
        (tmp_path / name).write_bytes(name.encode())
    found = read(tmp_path)
    assert {(item.key, item.raw) for item in found} == {
        ("one.md", b"one.md"), ("b/two.markdown", b"b/two.markdown"), ("three.TXT", b"three.TXT"),
    }  # fmt: skip
    assert {item.source for item in found} == {"s"}
    assert read(tmp_path) == found, "always in the same order"


def test_a_named_file_is_read_whatever_its_extension(tmp_path):
    (tmp_path / "story").write_bytes(b"\xff")
    (found,) = read(tmp_path / "story")
    assert (found.raw, found.key, found.label) == (b"\xff", "story", str(tmp_path / "story"))


def test_standard_input_has_no_key(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"raw")))
    (found,) = read("-")
    assert (found.raw, found.key, found.source) == (b"raw", None, "s")


def test_json_lines_have_the_fields_of_the_contract(tmp_path):
    lines = [
        {"raw": "é", "source": "other", "key": "k", "traceparent": "t"},
        {"raw_base64": "/w==", "reply_to": "replies:x"},
        {"op": "retract", "key": "k"},
    ]
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    one, two, three = read(file)
    assert (one.raw, one.source, one.key, one.traceparent) == ("é".encode(), "other", "k", "t")
    assert (two.raw, two.source, two.reply_to, two.label) == (b"\xff", "s", "replies:x", f"{file}:2")
    assert (three.raw, three.op, three.key) == (None, "retract", "k")


def test_a_key_may_be_a_number_and_base64_may_have_line_ends(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"raw_base64": "YWJj\\nZGVm\\n", "key": 5}\n')
    (found,) = read(file)
    assert (found.raw, found.key) == (b"abcdef", "5")


def test_unknown_names_and_a_missing_document_are_sent_so_that_the_receipt_names_them(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"raw": "---", "Key": "k", "src": {"a": 1}}\n{"title": "T"}\n{"raw": null, "raw_base64": ""}\n')
    one, two, three = read(file)
    codes = [
        [
            (found.code, found.field)
            for found in parse_envelope({as_bytes(n): as_bytes(v) for n, v in each.fields().items()})[1]
        ]
        for each in (one, two, three)
    ]
    assert codes[0] == [("unknown_entry_field", "Key"), ("unknown_entry_field", "src")]
    assert codes[1] == [("no_raw", "raw"), ("unknown_entry_field", "title")]
    assert codes[2] == []
    assert three.raw == b""


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def test_jsonl_files_of_the_contract_in_a_folder_are_read_and_others_are_named(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.md").write_text("a")
    (tmp_path / "below" / "feed.JSONL").write_text(
        '\ufeff{"source": "x", "raw": "one"}\n\n{"raw_base64": "dHdv", "key": "2"}\n'
    )
    long = "x" * 100_000
    (tmp_path / "from.jsonl").write_text(f'{{"key": "a \\" b", "source": null, "raw": "{long}"}}\n')
    (tmp_path / "gone.jsonl").write_text('\n{ "op" : "retract", "key": "k"}\n')
    for name, text in {"data": '{"title": "raw"}', "events": '{"id": 1, "op": "click"}', "nested": '{"a": {"raw": "b"}}',
                       "long": '{"a": {"raw": "' + "b" * 70_000, "list": "[1]", "empty": "", "words": "raw: x"}.items():  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text(text)
    found = read(tmp_path)
    assert [(item.raw, item.key, item.label.removeprefix(f"{tmp_path}/")) for item in found] == [
        (b"a", "a.md", "a.md"),
        (b"one", None, "below/feed.JSONL:1"),
        (b"two", "2", "below/feed.JSONL:3"),
        (long.encode(), 'a " b', "from.jsonl:1"),
        (None, "k", "gone.jsonl:2"),
    ]
    skipped, of_count = [], []
    list(read_paths([str(tmp_path)], source="s", skipped=skipped.append))
    count_documents([str(tmp_path)], skipped=of_count.append)
    assert [path.name for path in skipped] == [
        f"{name}.jsonl" for name in ("data", "empty", "events", "list", "long", "nested", "words")
    ]
    assert of_count == skipped


@pytest.mark.parametrize(("line", "reason"), [
    (b'{"raw": "a", "raw_base64": "YQ=="}', "raw and raw_base64: give one of them"),
    (b'{"raw": ' + b"1" * 5000 + b"}", "a number with too many digits"),
    (b"[" * 200_000, "nested too deeply"),
    (b'{"raw": "caf\xe9"}', "not UTF-8: a byte at position 13"),
    (b"hello", "Expecting value, column 1"),
    (b'{"raw_base64": "a"}', "raw_base64 is not base64"),
])  # fmt: skip
def test_why_a_line_is_invalid_is_said_without_words_of_python(tmp_path, line, reason):
    file = tmp_path / "x.jsonl"
    file.write_bytes(line + b"\n")
    with pytest.raises(UnreadablePath, match=reason) as raised:
        count_documents([str(file)])
    assert not {"sys.", "recursion", "codec"} & set(str(raised.value).replace("(", " ").split())


_INVALID = {
    "broken": "{",
    "a list": "[]",
    "a number": "5",
    "null": "null",
    "a text that is a number": '{"raw": 5}',
    "base64 that is no ASCII": '{"raw_base64": "é"}',
    "base64 that is a number": '{"raw_base64": 5}',
    "base64 with other characters": '{"raw_base64": "YWJj!!ZGVm"}',
    "a key that is an object": '{"raw": "", "key": {"a": 1}}',
    "a source that is a number": '{"raw": "", "source": 1}',
    "deep": "[" * 200_000,
    "deep objects": '{"raw":' * 200_000,
}


@pytest.mark.parametrize("line", _INVALID.values(), ids=_INVALID)
def test_an_invalid_line_is_named(tmp_path, line):
    file = tmp_path / "x.jsonl"
    file.write_text('{"raw": ""}\n' + line + "\n")
    for reading in (count_documents, lambda names: list(read_paths(names, source="s"))):
        with pytest.raises(UnreadablePath, match=r"x\.jsonl:2"):
            reading([str(file)])


def test_a_missing_path_is_named(tmp_path):
    for reading in (count_documents, lambda names: list(read_paths(names, source="s"))):
        with pytest.raises(UnreadablePath, match="nowhere"):
            reading([str(tmp_path / "nowhere")])


def test_a_folder_is_read_in_the_order_of_the_paths(tmp_path):
    names = ["a/b/1.md", "a/b.md", "a.md", "b/1.md", "b/a/1.md", "A/1.md", "a-b.md", "a/1.md", "a b/1.md", "a/b-c/1.md"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    expected = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [item.label for item in read(tmp_path)] == [str(path) for path in expected]


@pytest.fixture
def deep_path(tmp_path):
    """A folder that may become deeper than Python's limit of recursion; pytest could not remove it."""
    yield tmp_path
    subprocess.run(["rm", "-r", tmp_path], check=True)


_READER = """
import re, sys
from worker.producer.input_files import read_paths

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])

before, batch = peak(), []
for submission in read_paths(sys.argv[1:], source="s"):
    batch = [*batch[-199:], submission]  # as many as a producer sends at once
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_number_of_files_in_a_folder(tmp_path):
    for number in range(3_000):
        (tmp_path / f"{number}.md").write_bytes(b"x" * 10_000)
    run = subprocess.run([sys.executable, "-c", _READER, tmp_path], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 9_000, "kilobytes: 4,000 for a batch and the names, 15,000 with gaps between the documents"


def test_deep_folders_and_links_to_files_are_read(deep_path):
    tmp_path = folder = deep_path
    for _ in range(1100):  # deeper than Python's limit of recursion
        folder = folder / "d"
        folder.mkdir()
    (folder / "deep.md").write_text("x")
    (tmp_path / "link.md").symlink_to(folder / "deep.md")
    (tmp_path / "broken.md").symlink_to(tmp_path / "nowhere")
    assert [item.key[-7:] for item in read(tmp_path)] == ["deep.md", "link.md"]


def test_documents_in_a_named_pipe_are_not_counted(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert count_documents([str(tmp_path / "pipe.jsonl")]) is None


def test_a_circular_symlink_does_not_hang(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "x.md").write_text("x")
    assert [item.key for item in read(tmp_path)] == ["a/x.md"]


@pytest.mark.parametrize("name", ["one.md", "folder", "lines.jsonl", "/dev/zero"])
def test_what_is_larger_than_redis_takes_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(input_files, "MAX_BYTES", 1000)
    monkeypatch.setattr(input_files, "MAX_LINE_BYTES", 2000)
    monkeypatch.setattr(input_files, "_PIECE_BYTES", 100)
    (tmp_path / "folder").mkdir()
    for path in ("one.md", "folder/two.md", "lines.jsonl"):
        (tmp_path / path).write_text("x" * 1001 if path.endswith("md") else "x" * 5000)
    with pytest.raises(UnreadablePath, match=r"(one\.md|two\.md|lines\.jsonl:1|zero): more than"):
        list(read_paths([str(tmp_path / name)], source="s"))


def test_standard_input_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(input_files, "MAX_BYTES", 1000)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x" * 1001)))
    with pytest.raises(UnreadablePath, match="standard input: more than"):
        list(read_paths(["-"], source="s"))


def test_the_message_names_the_file_in_the_folder_that_cannot_be_read(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.md").write_text("x")
    (tmp_path / "1.md").chmod(0)
    if os.access(tmp_path / "1.md", os.R_OK):
        (tmp_path / "1.md").unlink()
        (tmp_path / "1.md").symlink_to("/proc/self/mem")  # opens, and cannot be read
    with pytest.raises(UnreadablePath, match=r"1\.md: "):
        list(read_paths([str(tmp_path)], source="s"))
