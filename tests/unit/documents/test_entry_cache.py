"""Entries of `related` that were parsed before are found by their text, and the cache changes no result."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.documents import entry_cache
from worker.documents.limits import Limits
from worker.documents.validation import read

GOOD = '  - title: Ferry returns\n    webUrl: "https://b.example/ferry"\n    quality: 40\n    provider: {name: B, domain: b.example}\n'


def related(entry, fields="", limits=None):
    raw = f'---\ntitle: T\nwebUrl: "https://a.example/x"\n{fields}related:\n{entry}---\n'.encode()
    reading = read(raw, has_key=False, limits=limits or Limits())
    return reading.article.related, [(found.code, found.field, found.line) for found in reading.problems]


def test_an_entry_read_before_is_the_same_object():
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
def test_a_problem_is_reported_each_time_with_its_place(entry, problem):
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
        ("excerpt: a", "abstract: a"),
    ],
)
def test_an_entry_with_other_text_is_read_again(one, other):
    parsed = [related(f"  - webUrl: https://b.example/\n    {fields}\n")[0][0] for fields in (one, other, one)]
    assert parsed[0] is not parsed[1]
    assert parsed[0] == parsed[2]
    assert (parsed[0] == parsed[1]) == ("abstract" in other)


def test_a_tighter_limit_applies_to_entries_cached_under_a_wider_one():
    assert related(GOOD)[1] == []
    assert ("url_too_long", "related[0].webUrl", 6) in related(GOOD, limits=Limits(max_url_bytes=19))[1]


def test_a_long_entry_is_not_cached():
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
def test_a_second_reading_gives_the_same_result(entries):
    lines = [f"  - {{{', '.join(f'{name}: {value}' for name, value in entry.items())}}}\n" for entry in entries]
    assert related("".join(lines)) == related("".join(lines))


BAD = "  - title: A\n    webUrl: https://b.example/\n    quality: much\n"


def test_text_beside_cached_entries_keeps_its_place():
    related(GOOD)
    (first, _, last), problems = related(GOOD + BAD + GOOD, "quality: 3\n")
    assert problems == [("bad_integer", "related[1].quality", 12)]
    assert first is last


def test_entries_indented_like_fields_are_cached():
    flush = "- title: A\n  webUrl: https://b.example/\n"
    (first,), _ = related(flush)
    assert related(flush + flush, "quality: 3\n")[0] == [first, first]


def test_blank_lines_after_the_list_are_no_part_of_its_last_entry():
    (first,), _ = related(GOOD)
    (second,), _ = related(GOOD + "\n\nheat: 4\n")
    assert second is first


def test_a_block_before_a_cached_entry_does_not_grow_by_the_lines_of_that_entry():
    (known,), _ = related(GOOD)
    (first, second), _ = related("  - webUrl: https://c.example/\n    excerpt: |+\n      A\n\n" + GOOD)
    assert second is known
    assert first.excerpt == "A\n\n"


def test_cached_nodes_count_towards_the_limit_of_nodes():
    few = Limits(max_nodes=40)
    (_,), problems = related(GOOD, limits=few)
    assert problems == []
    raw = f'---\ntitle: T\nwebUrl: "https://a.example/x"\nrelated:\n{GOOD * 3}---\n'.encode()
    assert [found.code for found in read(raw, has_key=False, limits=few).problems] == ["too_many_nodes"]


_ANCHORED = GOOD.replace("quality: 40", "quality: &a 40")
_OPEN = '  - webUrl: https://b.example/\n    title: "A\n'
_KEEPS_BREAKS = "  - webUrl: https://b.example/\n    odd: |+\n      A\n"
_TWICE = GOOD + "    quality: 41\n"
_RETURNS = "  - webUrl: https://b.example/\rheat: 3\n"
_ODD = (
    GOOD, BAD, _TWICE, _RETURNS, _ANCHORED, _OPEN, _KEEPS_BREAKS, '  - title: "A\n', '  - B"\n', "  - {title: A\n", "  - B}\n", "  - title: |\n",
    "  - *a\n", "  -\n", "  - \n", "  - - title: A\n", " - A\n", "   - A\n", "# A\n", "    # A\n", "\n", "  \n", "\ttitle: A\n",
    "    title: A\n", "  - title: A\r\n", "  - title: A\u2028\n", "  - title: 'A\n\n    B'\n", "  - A\n    B\n", "  - ? A\n",
    "  - <<: {title: A}\n", "  - title: A\\x00\n", "- title: A\n", GOOD.replace("Ferry", "Train"),
)  # fmt: skip
_FIELDS = "title: T\nwebUrl: https://a.example/x\n"
_FLOW = "{title: T, webUrl: https://a.example/x,\n"
_BEFORE = (
    _FIELDS, _FLOW, "# A\n" + _FIELDS, _FIELDS + "category: &a x\n",
    *(_FIELDS + more for more in ('excerpt: "A\n', "excerpt: |\n  A\n\n", "excerpt: {\n", "related: A\n", "excerpt: A\u2028B\n")),
)  # fmt: skip
_AFTER = (
    "", "heat: 3\n", "\n\nheat: 3\n", 'name: A"\n', "}\n", "name: *a\n", "related:\n  - A\n", "? A\n", "# A\n", "  A\n",
)  # fmt: skip
_some = st.lists(st.sampled_from(_ODD), min_size=1, max_size=4)


@example(_FIELDS + "category: &a x\n", [_ANCHORED], "", [_ANCHORED], "name: *a\n").via(
    "an alias means the last of its name"
)
@example(_FIELDS, [GOOD], "", [GOOD, _TWICE], "").via("a problem tells the index in the whole list")
@example(_FIELDS, [_RETURNS], "", [_RETURNS], "").via("a carriage return ends a line")
@example(_FIELDS, [_OPEN], 'name: A"\n', [_OPEN, GOOD], "").via("what follows the list ends its last entry")
@example(_FIELDS, [GOOD], "", [_KEEPS_BREAKS, GOOD], "").via("blank lines in place of what is known are read")
@example(_FIELDS, [_KEEPS_BREAKS], "\n\nheat: 3\n", [_KEEPS_BREAKS], "heat: 3\n").via(
    "blank lines are part of the last entry"
)
@example(_FLOW, [GOOD], "", [GOOD], ",heat: 3}\n").via("no list of lines can be in braces")
@given(st.sampled_from(_BEFORE), _some, st.sampled_from(_AFTER), _some, st.sampled_from(_AFTER))
def test_the_cache_changes_no_result(before, first, after_first, second, after_second):
    def reading(fields, listed, after):
        return read(f"---\n{fields}related:\n{''.join(listed)}{after}---\nB\n".encode(), has_key=False)

    entry_cache._memory.cache_clear()
    plain = reading(before, second, after_second)
    entry_cache._memory.cache_clear()
    for listed in (*([one] for one in first), first):
        reading(_FIELDS, listed, after_first)
    assert reading(before, second, after_second) == plain
