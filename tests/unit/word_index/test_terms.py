"""Which articles a query finds, by the terms of both; no database."""

import pytest

from worker.word_index.terms import MAX_LENGTH, query_terms, terms_of


def finds(query, title, excerpt=None):
    terms, wanted = terms_of(title, excerpt).split(), query_terms(query)
    return bool(wanted) and all(
        any(term.startswith(one.text) if one.is_prefix else term == one.text for term in terms) for one in wanted
    )


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("harbour ferries", "New ferries cross the HARBOUR at night"),
        ("ferr", "New ferries"),
        ("42", "Line 42 is closed"),
        ("渡轮停运", "台风来袭，海港渡轮停运三天"),
        ("雨", "明日有大雨"),
        ("雨", "雨天路滑"),
        ("フェリー", "台風でフェリー欠航"),
        ("태풍", "태풍으로 여객선 결항"),
        ("เรือ", "เรือข้ามฟากหยุดให้บริการ"),
        ("паромы", "Паром не ходит"),
        ("العبارة", "عبارة الميناء متوقفة"),
        ("नौका", "तूफान से नौका सेवा बंद"),
        ("Straße", "STRASSE gesperrt"),
        ("ﬁre", "Fire on the ferry"),
        ("cafe\u0301", "Caf\u00e9 opens"),
    ],
)
def test_a_title_of_any_script_is_found_by_a_part_of_it(query, title):
    assert finds(query, title)
    assert finds(query, None, title)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("tram", "New ferries"),
        ("fe", "New ferries"),
        ("停渡", "海港渡轮停运"),
        ("ferry tram", "A ferry"),
        ("...", "..."),
    ],
)
def test_other_words_find_nothing(query, title):
    assert not finds(query, title)


def test_terms_hold_letters_digits_and_marks_only():
    text = 'a\'b "c" d:* e|f (g) NOT h\\i \0 j-k *'
    assert set("".join(terms_of(text, None).split())) <= set("abcdefghijknot")
    assert all(one.text.isalnum() for one in query_terms(text))


def test_a_word_without_end_is_cut():
    assert finds("x" * 900, "x" * 1000)
    assert max(map(len, terms_of("x" * 1000, None).split())) == MAX_LENGTH
