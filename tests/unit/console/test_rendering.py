"""Pages escape and redact everything they show; formatting of figures and times."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

import worker.console
from worker.console.rendering import (
    NO_VALUE,
    age,
    breakable,
    clip,
    counted,
    environment,
    link_url,
    local_path,
    number,
    path,
    share,
    size,
    when,
)

TEMPLATES = Path(worker.console.__file__).parent / "templates"


@pytest.mark.parametrize("url", [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", " javascript:alert(1)", "data:text/html,x",
    "vbscript:x", "//evil.example", "/path", "https://", "http:x", "https://[", "https://a b", "", None, "file:///etc/passwd",
])  # fmt: skip
def test_only_http_and_https_are_followed(url):
    assert link_url(url) is None


def test_http_and_https_addresses_are_linked():
    assert link_url("https://a.example/x?y#z") == "https://a.example/x?y#z"


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", ""])
def test_redirects_stay_on_this_host(target):
    assert local_path(target) == "/"


ESCAPING = environment.from_string("<p title='{{ x }}'>{{ x }}</p>")


@given(st.text())
def test_every_value_is_escaped(text):
    shown = ESCAPING.render(x=text)

    assert shown.count("<") == 2
    assert shown.count("'") == 2


def test_every_value_is_redacted():
    shown = environment.from_string("{{ x }} {{ x | upper }}").render(x="https://me:hunter22@h.example")

    assert "hunter22" not in shown
    assert "HUNTER22" not in shown


@pytest.mark.parametrize("name", sorted(file.name for file in TEMPLATES.iterdir()))
def test_no_template_switches_escaping_off(name):
    text = (TEMPLATES / name).read_text("utf-8")

    assert "| safe" not in text
    assert "|safe" not in text
    assert "autoescape" not in text
    assert "style=" not in text
    assert "hx-on" not in text


def test_a_path_holds_any_name():
    assert path("dead", "a/b?c", x="&=") == "/dead/a%2Fb%3Fc?x=%26%3D"
    assert path(hold="", span="day") == "/?span=day"


def test_figures_are_formatted():
    assert number(1234567) == "1,234,567"
    assert number(None) == NO_VALUE
    assert share(0.1234) == "12.3\u202f%"
    assert [age(seconds) for seconds in (None, 5, 300, 7200, 200_000)] == [
        NO_VALUE,
        "5.0\u202fs",
        "5.0\u202fmin",
        "2.0\u202fh",
        "2.3\u202fd",
    ]
    assert [size(count) for count in (None, 10, 2048, 3 << 20, 5 << 30)] == [
        NO_VALUE,
        "10\u202fB",
        "2\u202fKiB",
        "3.0\u202fMiB",
        "5.0\u202fGiB",
    ]
    assert clip("a\x00b" + "c" * 10, 5) == "a bc…"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, tzinfo=UTC).replace(tzinfo=None),
        "2026-01-02T03:04:00",
        1767323040,
    ],
)
def test_times_are_shown_in_utc(moment):
    assert when(moment) == '<time datetime="2026-01-02T03:04:00+00:00">2026-01-02 03:04</time>'


@pytest.mark.parametrize(("text", "expected"), [
    ("Reuters.md", "Reuters.md"),
    ("stories/front_matter_not_closed.md", "stories/<wbr>front_<wbr>matter_<wbr>not_<wbr>closed.<wbr>md"),
    ("x" * 50, "x" * 24 + "<wbr>" + "x" * 24 + "<wbr>xx"),
    ("<b>" * 9, "&lt;b&gt;" * 8 + "<wbr>" + "&lt;b&gt;"),
    ("", ""), (None, ""),
])  # fmt: skip
def test_a_long_text_breaks_after_punctuation_and_never_in_a_word(text, expected):
    shown = str(breakable(text))
    assert shown.removesuffix("<wbr>") == expected
    assert shown.replace("<wbr>", "") == escape(text or "")


@pytest.mark.parametrize(("count", "expected"), [(0, "0 entries"), (1, "1 entry"), (2000, "2,000 entries")])
def test_a_count_agrees_with_its_noun(count, expected):
    assert counted(count, "entry", "entries") == expected


def test_no_template_prints_a_number_before_a_plural_noun():
    """`1 documents`: the filter `counted` is for that."""
    nouns = "documents|articles|entries|processes|errors|warnings|times|causes|batches"
    found = [
        (file.name, match[0])
        for file in TEMPLATES.glob("*.html")
        for match in re.finditer(rf"\{{\{{[^{{}}]*\}}\}} (?:{nouns})\b", file.read_text("utf-8"))
        if "counted" not in match[0]
    ]
    assert found == [], found
