"""The logic of the console: plots, marked lines, host names and sessions, and the colours of its style sheet."""

import asyncio
import re
import threading
import time
from pathlib import Path

import pytest

import worker.console
from schemas.problem import problem
from worker.console import refreshing_cache
from worker.console.access.sessions import Sessions
from worker.console.charts import plots
from worker.console.refreshing_cache import RefreshingCache
from worker.console.server import UnsafeConsole, is_loopback, names_for
from worker.console.source_lines import source_lines
from worker.console.web_security import host_name
from worker.dead_letters.redacted_text import redact
from worker.monitoring.rates import Interval
from worker.monitoring.stage_times import Slice, SlowPeriod, StageTimes

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("most", "top", "step"),
    [(0, 1, 1), (1, 1, 1), (3, 3, 1), (5, 6, 2), (80, 80, 20), (81, 100, 50), (1_000_000, 1e6, 500_000)],
)
def test_an_axis_ends_at_a_round_number_above_all(most, top, step):
    assert plots.scale(most) == (top, step)


def interval(at, *, seconds=60, settled=0, rejected=0, **maxima):
    return Interval(at, seconds, 0, {"stored": settled - rejected, "rejected": rejected}, 0, **maxima)


def test_one_rejected_among_thousands_has_a_plot_of_its_own_and_is_visible():
    intervals = [interval(n * 60, settled=5000, rejected=int(n == 3), most_rejected=int(n == 3)) for n in range(10)]

    bars = plots.rejected(intervals).bars

    assert [bar.height > 1 for bar in bars] == [n == 3 for n in range(10)]


def test_a_line_stays_within_the_drawing():
    intervals = [interval(n * 60, longest=n * 1000) for n in range(60)]

    (line,) = plots.backlog(intervals).lines
    points = [tuple(map(float, point.split())) for point in line.path.removeprefix("M").split(" L")]

    assert all(0 <= x <= plots.WIDTH and 0 <= y <= plots.HEIGHT for x, y in points)
    assert len(points) == 60


@pytest.mark.parametrize(("minutes", "width", "expected"), [
    (60, 1, ["12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]),
    (1440, 15, ["18:00", "00:00", "06:00"]),  # 12:00 would be cut off at the edge
    (7 * 1440, 120, ["Fri 02", "Sat 03", "Sun 04", "Mon 05", "Tue 06", "Wed 07", "Thu 08"]),
])  # fmt: skip
def test_the_ticks_stand_at_round_times(minutes, width, expected):
    begin = 12 * 3600 + 3 * 60
    intervals = [interval(begin + 60 * n, seconds=60 * width) for n in range(0, minutes, width)]

    ticks = plots.throughput(intervals).xs

    assert [tick.label for tick in ticks] == expected


def test_only_the_slow_period_of_a_stage_is_marked():
    slices = [Slice(3600 * n, 3600, 1, 1, {"turn": 90.0 if n == 5 else 1.0}, {"turn": 1.0}, None) for n in range(10)]
    times = StageTimes("turn", "Wait", 1.0, 1.0, 90.0, SlowPeriod(5 * 3600, 6 * 3600, 90.0, is_now=False))

    bars = plots.stage(slices, times).bars

    assert [bar.is_bad for bar in bars] == [n == 5 for n in range(10)]
    assert bars[5].label == "Thu 01, 05:00 to 06:00: 90.0 ms a batch, 1 batch"


def test_what_is_not_known_is_a_gap_of_the_line_and_not_zero():
    intervals = [interval(n * 60, longest=None if n < 5 else 0) for n in range(10)]

    (line,) = plots.backlog(intervals).lines

    assert line.path.count("M") == 1
    assert line.path.count("L") == 4, "the five that are known"


def lines_of(text, *problems):
    return source_lines(redact(text.encode()), problems)


def test_the_place_of_a_problem_is_marked():
    line = lines_of("---\ntitle: a: b\n---", problem("yaml_unquoted_colon", line=2, column=9))[1]

    assert (line.before, line.marked, line.after) == ("title: a", ":", " b")


def test_a_place_beyond_the_line_or_the_document_is_accepted():
    lines = lines_of("---\nx", problem("yaml_syntax", line=2, column=99), problem("yaml_syntax", line=99, column=1))

    assert (lines[1].before, lines[1].marked) == ("x", "")


def test_a_line_with_redacted_text_is_marked_as_a_whole():
    [_, line, _] = lines_of('---\nsecured: "QUJDREVG;QUJD" x\n---', problem("yaml_inner_quotes", line=2, column=26))

    assert "QUJD" not in line.marked
    assert line.marked.startswith("secured:")


def test_a_long_document_is_shown_around_its_problems():
    lines = lines_of("x\n" * 100_000, problem("yaml_syntax", line=50_000, column=1))

    assert 50_000 in [line.number for line in lines]
    assert len(lines) < 100
    assert lines[-1].number == 0


def test_a_long_line_is_cut():
    [line] = lines_of("a" * 1_000_000, problem("yaml_syntax", line=1, column=500_000))

    assert len(line.before + line.marked + line.after) < 2000


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8600", "localhost"),
        ("[::1]:8600", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("A.Example:1", "a.example"),
        ("", ""),
    ],
)
def test_the_host_name_is_parsed_from_the_header(host, name):
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_loopback_addresses_are_recognised(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "public", "token"),
    [
        ("0.0.0.0", (), None),
        ("desk.example", (), None),
        ("127.0.0.1", ("desk.example",), None),
        ("127.0.0.1", (), "short"),
    ],
)
def test_a_reachable_address_needs_a_token(host, public, token):
    with pytest.raises(UnsafeConsole):
        names_for(host, public, token)


def test_allowed_host_names_are_derived_from_the_address():
    assert names_for("127.0.0.1", ("desk.example:443",), TOKEN) == {"127.0.0.1", "localhost", "::1", "desk.example"}
    assert names_for("0.0.0.0", (), TOKEN) is None


def test_only_sessions_of_this_process_are_valid():
    mine, other = Sessions(None), Sessions(None)
    session = mine.new()

    assert mine.of(session.id) == session
    assert other.of(session.id) is None
    for wrong in (None, "", ".", "x.y", session.id[:-1], "x" + session.id, "é.é"):
        assert mine.of(wrong) is None


def test_the_token_of_a_form_is_of_its_session():
    sessions = Sessions(None)
    one, two = sessions.new(), sessions.new()

    assert sessions.is_form_of(one, one.csrf)
    assert not sessions.is_form_of(one, two.csrf)
    assert not sessions.is_form_of(one, "")


def test_a_session_opens_by_the_token_and_gets_another_id():
    sessions = Sessions(TOKEN)
    before = sessions.new()
    after = asyncio.run(sessions.login(TOKEN))

    assert not before.is_open
    assert after.is_open
    assert after.id != before.id
    assert not sessions.of(before.id).is_open
    sessions.logout(after)
    assert not sessions.of(after.id).is_open


def test_token_guesses_are_serialised_and_the_right_token_is_accepted():
    sessions = Sessions(TOKEN)

    async def guess(most):
        wrong = [sessions.login(str(number)) for number in range(most)]
        began = time.monotonic()
        *none, opened = await asyncio.gather(*wrong, sessions.login(TOKEN))
        assert set(none) == {None}
        assert opened.is_open
        return time.monotonic() - began

    assert asyncio.run(guess(10)) < 20  # seconds, on a busy machine
    assert 0.02 * 40 < asyncio.run(guess(40)) < 20


def test_simultaneous_requests_compute_a_value_once():
    started, go, counted = threading.Event(), threading.Event(), []

    def count():
        counted.append(1)
        started.set()
        go.wait(10)
        return "value"

    cache = RefreshingCache(count, seconds=60, timeout=0)
    assert cache.get() == (None, 0.0)
    started.wait(10)
    assert cache.get() == (None, 0.0)
    go.set()
    assert RefreshingCache(lambda: 1, seconds=60, timeout=10).get()[0] == 1
    cache._done.wait(10)
    assert cache.get()[0] == "value"
    assert counted == [1]


def test_an_error_is_raised_and_the_value_is_computed_again():
    answers = iter([ValueError("away"), 5])

    def count():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = RefreshingCache(count, seconds=60, timeout=10)
    with pytest.raises(ValueError, match="away"):
        cache.get()

    assert cache.get()[0] == 5


def test_a_value_that_nobody_looked_at_for_a_while_is_not_shown_as_if_it_were_new(monkeypatch):
    monkeypatch.setattr(refreshing_cache, "_STALE_TIMEOUT", 30)  # seconds, also for a busy machine
    values = iter([1, 2])
    cache = RefreshingCache(lambda: (time.sleep(0.1), next(values))[1], seconds=10, timeout=0)
    cache.wait(30 if cache.begin() else 0)
    cache._at -= 60
    assert cache.get() == (2, pytest.approx(0, abs=30))


def test_a_value_is_counted_again_after_a_change_even_if_it_was_being_counted_meanwhile():
    going, go, changes = threading.Event(), threading.Event(), []

    def count():
        seen = len(changes)
        going.set()
        go.wait(10)
        return seen

    cache = RefreshingCache(count, seconds=60, timeout=5)
    cache.begin()
    going.wait(10)
    changes.append("a lane was paused")
    cache.forget()
    go.set()
    assert cache.get()[0] == 1
    cache.begin()
    assert cache.get()[0] == 1


CSS = (Path(worker.console.__file__).parent / "static" / "console.css").read_text("utf-8")
THEMES = dict(
    zip(
        ("light", "dark by system", "dark"),
        re.findall(r"color-scheme: \w+;\n\s+(--paper.*?)\}", CSS, re.DOTALL),
        strict=True,
    )
)


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("front", "backs", "least"), [
    ("ink", ("paper", "sheet", "tint", "mark"), 4.5), ("quiet", ("paper", "sheet", "tint"), 4.5), ("link", ("paper", "sheet", "tint"), 4.5),
    ("good", ("paper", "sheet", "tint"), 4.5), ("bad", ("paper", "sheet", "tint"), 4.5), ("warn", ("paper", "sheet", "tint"), 4.5),
    ("paper", ("ink",), 4.5), ("field", ("paper", "sheet"), 3), ("bar", ("paper",), 3),
])  # fmt: skip
def test_colours_contrast_as_wcag_aa_wants(theme, front, backs, least):
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", THEMES[theme]))
    for back in backs:
        one, other = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        assert (one + 0.05) / (other + 0.05) >= least, f"{front} on {back}"


def test_each_bundled_script_has_its_licence():
    folder = Path(worker.console.__file__).parent / "static"
    note = (folder / "LICENCES.md").read_text("utf-8")

    assert {file.name for file in folder.glob("*.min.js")} == set(re.findall(r"`([\w.-]+\.min\.js)`", note))
