from __future__ import annotations

from worker.documents.problem_display import render
from worker.documents.validation import read
from worker.telemetry.terminal import plain, printable


def test_a_caret_stands_under_the_place():
    raw = b"---\ntitle: T\nname: DM: x\n---\n"
    assert render(raw, read(raw, has_key=True).problems[0]).splitlines()[:3] == [
        "error[yaml_unquoted_colon] (line 3, column 9): A colon stands inside a value without quotes.",
        "  3 | name: DM: x",
        "    |         ^",
    ]


def test_long_lines_are_cut_around_the_place():
    raw = b"---\ntitle: " + b"x" * 500 + b": y\n---\n"
    _, line, caret = render(raw, read(raw, has_key=True).problems[0]).splitlines()[:3]
    assert len(line) < 120
    assert line[caret.index("^")] == ":"


def test_wide_characters_take_two_cells():
    raw = "---\ntitle: 日本: y\n---\n".encode()
    assert render(raw, read(raw, has_key=True).problems[0]).splitlines()[2] == "    |            ^"


def test_terminal_control_characters_are_not_shown():
    raw = b"---\ntitle: \x1b[31m\n---\n"
    assert "\x1b" not in render(raw, read(raw, has_key=True).problems[0])


def test_the_joiner_within_an_emoji_is_shown_and_elsewhere_replaced():
    raw = "---\ntitle: 👩\u200d🚀 DM: a\u200db\n---\n".encode()
    line = render(raw, read(raw, has_key=True).problems[0]).splitlines()[1]
    assert line == "  2 | title: 👩\u200d🚀 DM: a�b"
    assert plain(line) == printable(line) == line
    assert plain("👩\u200d\u200d🚀 \u200d🚀") == "👩��🚀 �🚀"
