"""Entries of `related` that were read before are the same, and only where nothing is to be said of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.document.limits import Limits
from worker.document.validate import read

GOOD = '  - title: Ferry returns\n    webUrl: "https://b.example/ferry"\n    quality: 40\n    provider: {name: B, domain: b.example}\n'


def related(entry, fields="", limits=None):
    raw = f'---\ntitle: T\nwebUrl: "https://a.example/x"\n{fields}related:\n{entry}---\n'.encode()
    reading = read(raw, has_key=False, limits=limits or Limits())
    return reading.article.related, [(found.code, found.field, found.line) for found in reading.problems]


def test_what_was_read_before_is_one_object():
    (first,), _ = related(GOOD)
    (_, second), _ = related("  - title: Another\n    webUrl: https://c.example/\n" + GOOD, "quality: 3\n")
    assert second is first


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("  - title: A\n    webUrl: https://b.example/\n    quality: much\n", "bad_integer"),
        (
            "  - title: A\n    webUrl: https://b.example/\n    publishedDateTime: 2020-05-29 22:57\n",
            "time_without_zone",
        ),
        ("  - title: A\n    webUrl: https://b.example/\n    images: /a.jpg\n", "single_value"),
        ("  - title: A\n", "related_without_url"),
    ],
)
def test_a_problem_is_told_each_time_where_it_stands(entry, problem):
    _, first = related(entry)
    _, again = related(entry, "quality: 3\n")
    assert [code for code, *_ in first] == [problem]
    assert again == [(code, field, line + 1) for code, field, line in first]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("odd: {}", "odd: []"),
        ("odd: {a: b}", "odd: [[a, b]]"),
        ("odd: ['']", "odd: [~]"),
        ("odd: [a, b]", "odd: a"),
        ("title: A\n    excerpt: B", "title: B\n    excerpt: A"),
        ("quality: 1", "score: 1"),
    ],
)
def test_what_is_written_otherwise_is_read_for_itself(one, other):
    told = [related(f"  - webUrl: https://b.example/\n    {fields}\n")[0][0] for fields in (one, other, one)]
    assert told[0] is not told[1]
    assert told[0] == told[2]
    assert (told[0] == told[1]) == ("quality" in one)


def test_a_tighter_limit_holds_for_what_a_wider_one_let_through():
    assert related(GOOD)[1] == []
    assert ("url_too_long", "related[0].webUrl", 6) in related(GOOD, limits=Limits(max_url_bytes=19))[1]


def test_a_long_entry_is_not_kept():
    long = f"  - title: A\n    webUrl: https://b.example/\n    excerpt: {'x' * 2_000}\n"
    assert related(long)[0][0] is not related(long)[0][0]


_VALUES = st.recursive(
    st.sampled_from(["A", "''", "~", "7", "no", "https://b.example/b", "2020-05-29T22:57:00Z", "2020-05-29"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(["name", "url", "width", "odd"]), inner, max_size=2).map(
            lambda fields: "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"
        ),
    ),
    max_leaves=5,
)
_NAMES = st.sampled_from(["title", "webUrl", "sourceUrl", "quality", "publishedDateTime", "provider", "images", "odd"])


@given(st.lists(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4), min_size=1, max_size=3))
def test_the_second_reading_says_what_the_first_said(entries):
    lines = [f"  - {{{', '.join(f'{name}: {value}' for name, value in entry.items())}}}\n" for entry in entries]
    assert related("".join(lines)) == related("".join(lines))
