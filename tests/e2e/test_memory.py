"""`ingest` and `submit` read as they go: their memory does not grow with the files that they are given."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.servers import environment, results

_PROGRAM = """
import atexit, sys
sys.argv = ["copydesk", *sys.argv[1:]]
def report():
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    with open("peak", "w") as file:
        file.write(peak)
atexit.register(report)
from worker.cli.main import main
main()
"""
ALLOWED_BYTES = 24_000_000
"""How much more memory a large collection may take: the documents of one command to Redis, and their copies."""


def peak_bytes(folder, *arguments, **settings):
    """Run `copydesk` in a process of its own; return the largest memory that this process had, and its output."""
    run = subprocess.run([sys.executable, "-c", _PROGRAM, *map(str, arguments)], cwd=folder, env=environment(**settings),
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1200)  # fmt: skip
    assert run.returncode in (0, 1), run.stderr
    return int((folder / "peak").read_text()) * 1024, run.stdout


def documents(count, size):
    """Yield (name, text) of `count` articles of `size` bytes each."""
    for number in range(count):
        head = f"---\ntitle: Report {number}\nwebUrl: https://memory.example/{number}\n---\n"
        yield f"{number:06}.md", head + f"Line {number} of it. " * ((size - len(head)) // 20)


def collection(folder, form, count, size):
    """Write documents as a `.jsonl` file or as a folder; return its path."""
    if form == "jsonl":
        path = folder / f"{count}.jsonl"
        with path.open("w") as file:
            file.writelines(json.dumps({"key": name, "raw": text}) + "\n" for name, text in documents(count, size))
        return path
    path = folder / f"of-{count}"
    path.mkdir()
    for name, text in documents(count, size):
        (path / name).write_text(text)
    return path


@pytest.fixture
def in_redis(valkey, tmp_path):
    """The settings of a Redis without documents."""
    with valkey.client() as client:
        client.flushall()
    yield {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATABASE_URL": f"sqlite:///{tmp_path}/copydesk.db"}
    with valkey.client() as client:
        client.flushall()


SIZES = [
    (40, 1_000_000),
    pytest.param(10_000, 10_000, marks=pytest.mark.long),
    pytest.param(100, 1_000_000, marks=pytest.mark.long),
]


@pytest.mark.parametrize("form", ["jsonl", pytest.param("folder", marks=pytest.mark.long)])
@pytest.mark.parametrize(("count", "size"), SIZES)
def test_the_memory_of_submit_does_not_grow_with_the_collection(form, count, size, in_redis, tmp_path):
    little, _ = peak_bytes(tmp_path, "submit", collection(tmp_path, form, 3, size), **in_redis)
    much, output = peak_bytes(tmp_path, "submit", collection(tmp_path, form, count, size), **in_redis)
    assert len(output.splitlines()) == count
    assert much - little < ALLOWED_BYTES


# Documents above 1 MiB are rejected unread, which is quick; the long form stores all documents.
@pytest.mark.parametrize(("count", "size"), [(20, 2_000_000), pytest.param(10_000, 10_000, marks=pytest.mark.long)])
def test_the_memory_of_ingest_does_not_grow_with_the_collection(count, size, tmp_path):
    little, _ = peak_bytes(tmp_path, "ingest", collection(tmp_path, "jsonl", 3, size), "--json")
    much, output = peak_bytes(tmp_path, "ingest", collection(tmp_path, "jsonl", count, size), "--json")
    lines, summary = results(output)
    assert len(lines) == summary["submitted"] == count
    assert {line["outcome"] for line in lines} <= {"stored", "unchanged", "rejected"}
    assert much - little < ALLOWED_BYTES


@pytest.mark.long
def test_the_memory_of_submit_does_not_grow_with_the_outcomes_it_waits_for(tmp_path):
    """Without configuration `submit --wait` starts the servers and a worker."""
    peak_bytes(tmp_path, "ingest", collection(tmp_path, "jsonl", 3, 1000))
    little, _ = peak_bytes(tmp_path, "submit", "--wait", "--json", collection(tmp_path, "jsonl", 4, 10_000))
    path = collection(tmp_path, "jsonl", 10_000, 10_000)
    much, output = peak_bytes(tmp_path, "submit", "--wait", "--json", "--timeout", 600, path)
    lines, summary = results(output)
    assert len(lines) == summary["submitted"] == 10_000
    assert [line["path"] for line in lines] == [f"{path}:{number}" for number in range(1, 10_001)]
    assert {line["outcome"] for line in lines} <= {"stored", "unchanged", "updated"}
    assert much - little < ALLOWED_BYTES
