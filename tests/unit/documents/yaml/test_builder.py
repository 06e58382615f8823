from __future__ import annotations

import time

import pytest

from worker.documents.limits import Limits
from worker.documents.yaml.builder import parse
from worker.documents.yaml.nodes import place_of


def codes(text, limits=None):
    parsed = parse(text, 2, limits or Limits())
    return [(found.code, found.line, found.column) for found in parsed.problems]


def test_values_keep_their_text():
    parsed = parse(
        "a: No\nb: 1.10\nc: 0777\nd: 12:30:45\ne: 2020-02-30\nf: 'x'\ng: ~\nh:\ni: \"null\"\nj: !!str ~\n", 2
    )
    assert parsed.tree == {
        "a": "No", "b": "1.10", "c": "0777", "d": "12:30:45", "e": "2020-02-30", "f": "x", "g": None, "h": None,
        "i": "null", "j": "~",
    }  # fmt: skip
    assert parsed.problems == []


def test_values_have_their_place():
    parsed = parse("a: b\nlist:\n  - x\n  - {k: v}\n\u2028e:\n", 2)
    assert place_of(parsed.tree, "a", parsed.places) == (2, 4)
    assert place_of(parsed.tree, "list", parsed.places) == (3, 1)
    assert place_of(parsed.tree["list"], 0, parsed.places) == (4, 5)
    assert place_of(parsed.tree["list"][1], "k", parsed.places) == (5, 9)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: DM: x\n", ("yaml_unquoted_colon", 2, 9)),
        ("a: b\nname: He said: go\n", ("yaml_unquoted_colon", 3, 14)),
        ('t: "a "b" c"\n', ("yaml_inner_quotes", 2, 8)),
        ("t: 'It's'\n", ("yaml_inner_quotes", 2, 8)),
        ('t: "a\nu: "b"\n', ("yaml_unclosed_quote", 2, 4)),
        ('t: "a\nu: b\n', ("yaml_unclosed_quote", 2, 4)),
        ("a:\n\tb: 1\n", ("yaml_tab", 3, 1)),
        ("a: 1\n\tb: 2\n", ("yaml_tab", 3, 1)),
        ("a: x\n  b: y\n", ("yaml_indentation", 3, 4)),
        ("a:\n  b: 1\n c: 2\n", ("yaml_indentation", 4, 2)),
        ("a: x\x97y\n", ("yaml_control_character", 2, 5)),
        ("a: x\x00\n", ("yaml_control_character", 2, 5)),
        ('a: "C:\\dir"\n', ("yaml_escape", 2, 7)),
        ("a: 1\nfoo\nb: 2\n", ("yaml_missing_colon", 3, 1)),
        ("a: 1\n%YAML 1.2\nb: 2\n", ("yaml_special_character", 3, 1)),
        ("%YAML 1.2\na: 1\n", ("yaml_special_character", 2, 1)),
        ("a: 1\n%b\n", ("yaml_special_character", 3, 1)),
        ("a: 1\n\ufeffb: 2\n", ("yaml_control_character", 3, 1)),
        ("a: x\x85y\n", ("text_cleaned", 2, 4)),
        ("a: ? b\n", ("yaml_special_character", 2, 4)),
        ("a: 1\n: b\n", ("yaml_key", 3, 1)),
        (f"{'k' * 1500}: a\n", ("yaml_key", 2, 1)),
        (f"'{'k' * 1500}': a\n", ("yaml_key", 2, 1)),
        ("a: [x\n", ("yaml_unclosed_bracket", 2, 4)),
        ("a: [x] y\n", ("yaml_text_after_bracket", 2, 8)),
        ("a: @b\n", ("yaml_special_character", 2, 4)),
        ("a: `b\n", ("yaml_special_character", 2, 4)),
        ("a: %b\n", ("yaml_special_character", 2, 4)),
        ("a: *b* c\n", ("yaml_special_character", 2, 4)),
        ("a: > b\n", ("yaml_special_character", 2, 4)),
        ("a: - b\n", ("yaml_special_character", 2, 4)),
        ("a: *b\n", ("yaml_unknown_alias", 2, 4)),
        ("a: &b [*b]\n", ("yaml_unknown_alias", 2, 8)),
        ("a: &b x\nd: *b\nc: &b [*b]\n", ("yaml_unknown_alias", 4, 8)),
        ("a: !x y\n", ("yaml_tag", 2, 4)),
        ("a: !!python/object/apply:os.system [x]\n", ("yaml_tag", 2, 4)),
        ("a: !!binary eA==\n", ("yaml_tag", 2, 4)),
        ("a: {{ b }}\n", ("yaml_key", 2, 5)),
        ("? [a]\n: b\n", ("yaml_key", 2, 3)),
        ('"": b\n', ("yaml_key", 2, 1)),
        ("a: {<<: x}\n", ("yaml_merge", 2, 5)),
        ("a: 1\nb: 2\na: 3\n", ("duplicate_key", 4, 1)),
        ("a: b\n--- # c\n", ("several_documents", 3, 1)),
        ("- a\n", ("not_a_mapping", 2, 1)),
        ("text\n", ("not_a_mapping", 2, 1)),
        ("# only a comment\n", ("empty_front_matter", 1, 1)),
        ("{}\n", ("empty_front_matter", 1, 1)),
    ],
)
def test_common_mistakes_have_their_problem(text, problem):
    assert codes(text) == [problem]


def test_all_duplicates_are_reported_at_once():
    assert [line for _, line, _ in codes("a: 1\na: 2\nb: 1\nb: 2\n")] == [3, 5]


def test_merge_keys_are_resolved():
    tree = parse("a: &a {x: '1', y: '2'}\nb: &b {y: '3', z: '4'}\nc: {<<: [*a, *b], x: '0'}\nd: {'<<': w}\n", 2).tree
    assert tree["c"] == {"x": "0", "y": "2", "z": "4"}
    assert tree["d"] == {"<<": "w"}


@pytest.mark.parametrize(
    ("text", "limits", "code"),
    [
        ("a: [[[x]]]\n", Limits(max_depth=3), "too_deep"),
        ("a: [x, x, x, x]\n", Limits(max_nodes=4), "too_many_nodes"),
        ("a: &a [x, x]\nb: [*a, *a]\n", Limits(max_aliases=5), "too_many_aliases"),
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}\n", Limits(max_merge_keys=1), "too_many_merges"),
        ("a: 12345\n", Limits(max_scalar=4), "value_too_long"),
        ("abcde: 1\n", Limits(max_key_length=4), "key_too_long"),
    ],
)
def test_limits_hold_while_parsing(text, limits, code):
    assert code in [found for found, _, _ in codes(text, limits)]


def test_surrogate_pairs_of_json_writers_are_joined():
    parsed = parse('a: "\\ud83d\\ude00 \\\\ud83d"\nb: "\\ud800x"\nc: \\ud83d\n', 2)
    assert parsed.tree == {"a": "😀 \\ud83d", "b": "x", "c": "\\ud83d"}
    assert [found.code for found in parsed.problems] == ["text_cleaned"]


def test_any_number_of_surrogate_pairs_is_joined():
    count, pair = 2_000, "\\ud83d\\ude00"
    text = "".join(f'a{n}: "{pair} {n} {"long " * 20}"\n"b{n} {pair}": x\n' for n in range(count))
    began = time.process_time()
    parsed = parse(text, 2)
    assert time.process_time() - began < 2  # each parse of the text takes 0.05 s
    assert parsed.problems == []
    assert [value[:2] for name, value in parsed.tree.items() if name[0] == "a"] == ["😀 "] * count
    assert [name for name in parsed.tree if name[0] == "b"] == [f"b{n} 😀" for n in range(count)]


def test_only_surrogate_pairs_in_double_quotes_are_joined():
    pair = "\\ud83d\\ude00"
    text = (
        f'a: "{pair}"\nb: {pair} " x\nc: \'" {pair}\'\nd: |\n  "{pair}"\n# "{pair}\ne: "{pair} \\\\ud83d \\"{pair}"\n'
        f'f: ["{pair}", {{"{pair}": "{pair}"}}]\n'
    )
    assert parse(text, 2).tree == {
        "a": "😀", "b": f'{pair} " x', "c": f'" {pair}', "d": f'"{pair}"\n', "e": '😀 \\ud83d "😀',
        "f": ["😀", {"😀": "😀"}],
    }  # fmt: skip


def test_an_error_beside_surrogate_pairs_is_reported_where_it_is():
    parsed = parse('a: "\\ud83d\\ude00"\nb: "\\q"\nc: "\\ud83d\\ude00"\n', 2)
    assert [(found.code, found.line) for found in parsed.problems] == [("yaml_escape", 3)]
    assert parse('a: "\\ud83d\\ude00"\nb: "\\ud83\n', 2).tree is None


def test_texts_are_cleaned_and_composed():
    parsed = parse('a: ["x\\0y\\x07\\x9b\\n"]\nb: "e\\u0301"\n"k\\0": v\n', 2)
    assert parsed.tree == {"a": ["xy\n"], "b": "é", "k": "v"}
    assert [(found.code, found.field) for found in parsed.problems] == [
        ("text_cleaned", "a[0]"),
        ("text_cleaned", "k<U+0000>"),
    ]
