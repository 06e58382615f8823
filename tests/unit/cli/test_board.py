"""The live view fits its terminal, whatever names crawlers invent, and shows problems first."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.support import snapshots as parts
from tests.support.snapshots import lane, queue, redis_info, silent, store, worker
from worker.cli.board import age, board, share
from worker.monitoring.alarms import alarms
from worker.monitoring.status import LinkingStatus, PauseStatus, Silent, Snapshot, Unreachable


def snapshot(redis=None, database=None, dead_letters=None, sources=None, linking=None, **fields):
    """Return a snapshot with hostile names and more rows than fit; `fields` are those of the queue."""
    hostile = {f"crawler-{n}-{'x' * (n * 9 % 60)}\x1b[2J": {"stored": 1000 * n, "rejected": n} for n in range(30)}
    lanes = (lane(), lane("documents:" + "u" * 54), *(lane(f"bulk{n}") for n in range(6)))
    workers = (worker(), *(worker(f"h{n}:1") for n in range(12)))
    codes = {f"code_{n}": n for n in range(40)} if dead_letters is None else dead_letters
    return Snapshot(
        queue(hostile if sources is None else sources, **{"lanes": lanes, "workers": workers, **fields}),
        redis or redis_info(),
        store(dead_letters=codes, store={}, database=database or parts.database(), linking=linking),
    )


def drawn(shown, width, height=None):
    out = io.StringIO()
    Console(file=out, width=width, height=height or 1000, force_terminal=True, color_system=None).print(
        board(shown, width=width, height=height)
    )
    return out.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(
    ("width", "height"), [(80, 24), (160, 50), (160, 24), (60, 24), (100, 30), (200, 60), (130, 40)]
)
def test_the_board_fits_its_terminal(width, height):
    lines = drawn(snapshot(), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert width < 80 or " UTC " in lines[0]
    text = "\n".join(lines)
    for part in ("LANE", "WORKER", "LAST", "SOURCE", "OPEN DEAD LETTERS", "documents", "host-17"):
        assert part in text, part
    assert "more" in text, "what is left out is said"


def test_without_a_height_nothing_but_sources_is_left_out():
    few = {f"crawler-{n}": {"stored": n} for n in range(20)}
    text = "\n".join(drawn(snapshot(sources=few), 120))
    assert "more" not in text
    assert "code_39" in text


@pytest.mark.parametrize("width", [50, 120, 200])
def test_without_a_height_the_most_rejected_of_many_sources_are_shown_and_the_others_counted(width):
    many = {f"crawler-{n:04}": {"stored": 1000 - n, "rejected": int(n == 700)} for n in range(1000)}
    lines = drawn(snapshot(sources=many), width)
    [first] = [line for line in lines if "crawler-0700" in line]
    [rest] = [line for line in lines if "981" in line]
    assert lines.index(first) < lines.index(rest)
    assert "copydesk sources" in rest or width < 60
    assert "".join(lines).count("crawler-0") == 19


def test_hostile_names_do_nothing_to_the_terminal():
    assert not any("\x1b[2J" in line for line in drawn(snapshot(), 120))


def test_an_empty_snapshot_is_drawn():
    assert "workers unknown" in drawn(Snapshot(redis=Unreachable(error="refused"), store=store()), 80, 24)[0]
    assert drawn(Snapshot(), 80, 24)
    assert "No worker is alive" in drawn(snapshot(workers=(), dead_letters={}, sources={}, lanes=()), 100, 24)[1]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, []),
    ({"redis": Unreachable(error="Redis is not running at a:1")}, ["Redis is not running at a:1; there is no receipt yet"]),
    ({"redis": Silent(error="Redis at a:1 does not answer")}, ["nothing is taken from it"]),
    ({"database": Unreachable(error="refused")}, ["The database cannot be reached"]),
    ({"redis": redis_info(policy="allkeys-lru")}, ["maxmemory-policy is allkeys-lru"]),
    ({"redis": redis_info(append_only=False)}, ["no append-only file"]),
    ({"redis": redis_info(max_bytes=12_500_000)}, ["nearly full"]),
    ({"redis": redis_info(last_write="err")}, ["cannot write its append-only file"]),
    ({"database": parts.database(schema=None)}, ["copydesk db upgrade"]),
    ({"workers": ()}, ["No worker is alive"]),
    ({"missed": (silent(),)}, ["fell silent 30 s ago"]),
    ({"workers": (worker(state="stuck", reason="no step"),)}, ["is stuck: no step"]),
    ({"lanes": (lane(missing=3),)}, ["3 entries vanished from lane documents"]),
    ({"lanes": (lane(paused=PauseStatus("me", "upgrade", "operator", 1.0)),)}, ["copydesk lane resume documents"]),
    ({"lanes": (lane(lately_settled=0),)}, ["stands still"]),
    ({"linking": LinkingStatus(True, 5474, 61.0, 0)}, ["5,474 articles wait for the linker, the oldest for 61 s"]),
    ({"linking": LinkingStatus(True, 5474, 15.0, 900)}, []),
    ({"linking": LinkingStatus(False, 5474, 1e6, 0)}, []),
])  # fmt: skip
def test_problems_are_shown_with_what_to_do(changes, expected):
    shown = alarms(snapshot(**changes))
    assert len(shown) == len(expected)
    assert all(part in alarm.sentence for part, alarm in zip(expected, shown, strict=True))


@pytest.mark.parametrize(("wanted", "room", "expected"), [
    ([(10, 2), (10, 2)], 8, [4, 4]), ([(1, 2), (10, 2)], 8, [1, 7]), ([(3, 3), (5, 2)], 4, [3, 1]), ([], 5, []), ([(5, 2)], 0, [0]),
])  # fmt: skip
def test_lines_are_divided_among_the_tables(wanted, room, expected):
    assert share(wanted, room) == expected


def test_an_unknown_age_is_a_dash():
    assert (age(None), age(12.34)) == ("-", "12 s")


def test_a_small_terminal_shows_whole_words_and_no_table_without_rows():
    lines = drawn(snapshot(), 40, 15)
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
    assert "OPEN DEAD LETTERS" in "\n".join(drawn(snapshot(), 80, 50))


def test_neither_half_of_a_wide_terminal_is_empty():
    few = snapshot(workers=(worker(),), lanes=(lane(),))
    lines = drawn(few, 200, 40)
    left = sum(bool(line[:95].strip()) for line in lines)
    right = sum(bool(line[100:].strip()) for line in lines)
    assert min(left, right) > max(left, right) // 3
