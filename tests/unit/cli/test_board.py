"""The live view fits its terminal, whatever names crawlers invent, and shows problems first."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from worker.cli.board import age, board, share, size
from worker.cli.terminal import OUTCOMES
from worker.monitoring.alarms import alarms

HEALTHY = {"ok": True, "ms": 0.4, "server": "valkey 9.1.2", "used_bytes": 12_000_000, "max_bytes": None, "policy": "noeviction",
           "append_only": True, "last_write": "ok", "up_seconds": 100}  # fmt: skip
STORE = {
    "ok": True,
    "ms": 1.0,
    "server": "postgresql 16.1",
    "schema": "v1",
    "needs_schema": "v1",
    "used_bytes": 5_000_000,
}


def lane(name="documents", **changes):
    return {"lane": name, "added": 1_234_567, "settled": 1_200_000, "backlog": 34_567, "pending": 400, "oldest_seconds": 75.0,
            "outcomes": {"stored": 5}, "missing": 0, "rate": 700.0, "in_rate": 12.5, "drain_seconds": 50.3, "paused": None, **changes}  # fmt: skip


def worker(**changes):
    pool = [
        {"pid": 1, "lane": "documents", "documents": 100, "busy_seconds": 1.5},
        {"pid": 2, "lane": None, "documents": 0, "busy_seconds": None},
    ]
    return {"worker": "host-17.example:4711", "state": "consuming", "for_seconds": 99.0, "reason": "", "version": "1", "up_seconds": 100.0,
            "lanes": ["documents"], "silent_seconds": 1.0, "pool": pool, **changes}  # fmt: skip


def figures(**changes):
    sources = {f"crawler-{n}-{'x' * (n * 9 % 60)}\x1b[2J": {"stored": 1000 * n, "rejected": n} for n in range(30)}
    part = {
        "added": 1,
        "settled": 2,
        "rate": 3.0,
        "outcomes": dict.fromkeys(OUTCOMES, 123_456),
        "sources": sources,
        "rejected": [],
    }
    return {
        "lanes": [lane(), lane("documents:" + "u" * 54), *(lane(f"bulk{n}") for n in range(6))],
        "sum": {"added": 1, "settled": 1, "backlog": 0, "missing": 0},
        "workers": [worker(), *(worker(worker=f"h{n}:1") for n in range(12))],
        "recent": {"minute": {**part, "seconds": 97}, "hour": {**part, "seconds": 3600}, "day": {**part, "seconds": 86_400}},
        "redis": HEALTHY, "database": STORE, "outcomes": {}, "dead_letters": {f"code_{n}": n for n in range(40)}, "store": {}, **changes,
    }  # fmt: skip


def drawn(found, width, height=None):
    out = io.StringIO()
    Console(file=out, width=width, height=height or 1000, force_terminal=True, color_system=None).print(
        board(found, width=width, height=height)
    )
    return out.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(
    ("width", "height"), [(80, 24), (160, 50), (160, 24), (60, 24), (100, 30), (200, 60), (130, 40)]
)
def test_the_board_fits_its_terminal(width, height):
    lines = drawn(figures(), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for part in ("LANE", "WORKER", "LAST", "SOURCE", "OPEN DEAD LETTERS", "documents", "host-17"):
        assert part in text, part
    assert "more" in text, "what is left out is said"


def test_without_a_height_nothing_is_left_out():
    text = "\n".join(drawn(figures(), 120))
    assert "more" not in text
    assert "code_39" in text


def test_hostile_names_do_nothing_to_the_terminal():
    assert not any("\x1b[2J" in line for line in drawn(figures(), 120))


def test_an_empty_snapshot_is_drawn():
    assert drawn({"redis": {"ok": False, "error": "refused"}, "database": STORE}, 80, 24)
    assert "No worker is alive" in drawn(figures(workers=[], dead_letters={}, recent={}, lanes=[]), 100, 24)[1]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, []),
    ({"redis": {"ok": False, "error": "refused"}}, ["Redis cannot be reached: refused"]),
    ({"database": {"ok": False, "error": "refused"}}, ["The database cannot be reached"]),
    ({"redis": {**HEALTHY, "policy": "allkeys-lru"}}, ["maxmemory-policy is allkeys-lru"]),
    ({"redis": {**HEALTHY, "append_only": False}}, ["no append-only file"]),
    ({"redis": {**HEALTHY, "max_bytes": 12_500_000}}, ["nearly full"]),
    ({"database": {**STORE, "schema": None}}, ["copydesk db upgrade"]),
    ({"workers": []}, ["No worker is alive"]),
    ({"workers": [worker(state="stuck", reason="no step")]}, ["is stuck: no step"]),
    ({"lanes": [lane(missing=3)]}, ["3 entries vanished from lane documents"]),
    ({"lanes": [lane(paused={"who": "me", "why": "upgrade", "by": "operator", "seconds": 1.0})]}, ["copydesk lane resume documents"]),
    ({"lanes": [lane(rate=0.0)]}, ["stands still"]),
])  # fmt: skip
def test_problems_are_shown_with_what_to_do(changes, expected):
    told = alarms(figures(**changes))
    assert len(told) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, told, strict=True))


@pytest.mark.parametrize(("wanted", "room", "expected"), [
    ([(10, 2), (10, 2)], 8, [4, 4]), ([(1, 2), (10, 2)], 8, [1, 7]), ([(3, 3), (5, 2)], 4, [3, 1]), ([], 5, []), ([(5, 2)], 0, [0]),
])  # fmt: skip
def test_lines_are_divided_among_the_tables(wanted, room, expected):
    assert share(wanted, room) == expected


def test_ages_and_sizes_are_short():
    assert [age(s) for s in (None, 0.0, 12.34, 300, 9000, 300_000)] == [
        "-",
        "0.0 s",
        "12 s",
        "5.0 min",
        "2.5 h",
        "3.5 d",
    ]
    assert [size(n) for n in (None, 999, 12_000_000)] == ["-", "999 B", "12 MB"]


def test_a_small_terminal_shows_whole_words_and_no_table_without_rows():
    lines = drawn(figures(), 40, 15)
    assert len(lines) <= 15
    header = next(line for line in lines if line.startswith("LANE"))
    assert header.split() == ["LANE", "backlog", "oldest", "drained"]
    headers = [
        number
        for number, line in enumerate(lines)
        if line.split(" ")[0] in ("LANE", "WORKER", "LAST", "SOURCE", "OPEN")
    ]
    assert all(number + 1 < len(lines) and lines[number + 1].strip() for number in headers)
    assert not any("…" in lines[number] for number in headers)


def test_rows_cut_in_a_small_terminal_appear_in_a_larger_one():
    assert "OPEN DEAD LETTERS" in "\n".join(drawn(figures(), 80, 50))
