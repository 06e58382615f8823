"""Cleaning reports the first removed character, whatever the reason for its removal."""

from __future__ import annotations

import pytest

from worker.documents.characters import clean_text
from worker.documents.validation import read

MARK = "\u0301"


@pytest.mark.parametrize(
    ("text", "cleaned", "removed", "index"),
    [
        ("abc", "abc", 0, -1),
        ("ab\0c\7", "abc", 2, 2),
        ("xyz" + "q" + MARK * 33, "xyz" + "q" + MARK * 30, 3, 34),
        ("q" + MARK * 31 + "\0", "q" + MARK * 30, 2, 31),
        ("\0q" + MARK * 31, "q" + MARK * 30, 2, 0),
        ("q" + (MARK + "\0") * 31, "q" + MARK * 30, 32, 2),
    ],
)
def test_the_first_removed_character_is_named(text, cleaned, removed, index):
    assert clean_text(text) == (cleaned, removed, index)
    assert clean_text(cleaned) == (cleaned, 0, -1)


def test_surplus_marks_of_the_body_are_reported_at_their_place():
    raw = f"---\ntitle: T\n---\none\ntwo q{MARK * 31}\n".encode()
    (problem,) = read(raw, has_key=True).problems
    assert (problem.code, problem.line, problem.column) == ("text_cleaned", 5, 36)
