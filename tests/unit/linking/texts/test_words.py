"""Texts of many scripts as words, and as pairs of characters where no spaces part the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.linking.texts.features import FUNCTION_WORDS
from worker.linking.texts.words import MAX_WORDS, SCRIPTS, script_of, words, words_of


@pytest.mark.parametrize(("text", "expected"), [
    ("The harbour ferry's new scanners: 24 of them", ["the", "harbour", "ferry", "s", "new", "scanner", "24", "of", "them"]),
    ("Maße und Weg", ["masse", "und", "weg"]),
    ("delays delayed delay", ["delay"] * 3),
    ("banned banning", ["ban"] * 2),
    ("Announces announced ANNOUNCING", ["announc"] * 3),
    ("companies company", ["company"] * 2),
    ("class virus analysis news Texas", ["class", "virus", "analysis", "news", "texa"]),
    ("used king 2020s", ["used", "king", "2020s"]),
    ("Wahl\u00adergebnis", ["wahlergebnis"]),
    ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
    ("ＦＥＲＲＹ ｶﾅ", ["ferry", "カナ"]),
    ("台北地震", ["台北", "北地", "地震"]),
    ("震", ["震"]),
    ("2024年7月", ["2024", "年", "7", "月"]),
    ("フェリーが", ["フェ", "ェリ", "リー", "ーが"]),
    ("부산에서", ["부산", "산에", "에서"]),
    ("भूकंप के झटके", ["भूकंप", "के", "झटके"]),
    ("தமிழ் செய்தி", ["தமிழ்", "செய்தி"]),
    ("Камчатки Камчатке", ["камча", "камча"]),
    ("والزلزال الزلزال", ["زلزال", "زلزال"]),
    ("\u0645\u06cc\u200c\u0631\u0648\u062f", ["\u0645\u06cc\u0631\u0648\u062f"]),
    (None, []),
    ("", []),
    ("— … !", []),
])  # fmt: skip
def test_a_text_is_cut_as_its_script_is_written(text, expected):
    assert words(text) == expected


def test_pairs_of_thai_characters_keep_vowels_and_tones_with_their_consonant():
    assert words("น้ำท่วม")[0].startswith("น้")
    assert all(
        not 0x0E31 <= ord(pair[0]) <= 0x0E4E or ord(pair[0]) in range(0x0E40, 0x0E47) or pair[0] in "ะาำๅ"
        for pair in words("น้ำท่วมกรุงเทพ")
    )


def test_only_words_with_spaces_are_marked_as_such():
    found = words_of("Apple 발표 today")
    assert found.texts == ["apple", "발표", "today"]
    assert found.spaced == b"\1\0\1"


def test_forms_are_the_words_as_the_text_has_them():
    found = words_of("Delays of ferries in Москве 台北")
    assert found.texts == ["delay", "of", "ferry", "in", "москв", "台北"]
    assert found.forms == ["delays", "of", "ferries", "in", "москве", "台北"]


def test_function_words_keep_their_endings():
    assert [words(word) for word in sorted(FUNCTION_WORDS)] == [[word] for word in sorted(FUNCTION_WORDS)]


def test_a_thai_excerpt_is_not_cut_where_an_english_one_is():
    assert len(words("น้ำท่วมกรุงเทพ" * 30)) > MAX_WORDS
    assert len(words("ferry " * 500)) == MAX_WORDS


@pytest.mark.parametrize(("word", "script"), [("ferry", 0), ("24", 0), ("é", 0), ("ferry年", 0), ("камча", 2), ("زلزال", 3),
                                              ("भूकंप", 4), ("தமிழ்", 5), ("น้ำ", 6), ("부산", 8), ("台北", 9), ("震が", 10), ("ελλ", 1)])  # fmt: skip
def test_the_script_of_a_word_is_known_by_its_first_characters(word, script):
    assert script_of(word) == script


@given(st.text(max_size=300))
def test_any_text_has_words_of_known_scripts_and_no_line_breaks(text):
    found = words_of(text)
    assert len(found.texts) == len(found.spaced) <= 600
    assert all(word and "\n" not in word and 0 <= script_of(word) < SCRIPTS for word in found.texts)


@given(st.text(max_size=200))
def test_words_do_not_depend_on_case_or_composition(text):
    import unicodedata

    assert (
        words(unicodedata.normalize("NFC", text)) == words(unicodedata.normalize("NFD", text)) or not text.isprintable()
    )
