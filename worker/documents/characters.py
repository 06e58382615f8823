"""Clean text so that every store can hold it: no control characters, no lone surrogates, in composed form (NFC)."""

from __future__ import annotations

import re
import unicodedata

UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Combining marks on one letter, as in Unicode's stream-safe form. Composing longer runs takes quadratic time.
_MAX_MARKS = 30
_LONG_RUN = re.compile(f"[^\x00-\u02ff]{{{_MAX_MARKS + 1}}}")  # no combining mark is below U+0300


def clean_text(text: str) -> tuple[str, int, int]:
    """Return the cleaned text, the number of removed characters, and the index of the first one (-1: none removed).

    The index is 0 if only combining marks beyond the limit were removed.
    """
    first = UNHOLDABLE.search(text)
    index = first.start() if first else -1
    removed = 0
    if first:
        text, removed = UNHOLDABLE.subn("", text)
    if text.isascii():
        return text, removed, index
    if _LONG_RUN.search(text):
        thinned = _thin_marks(text)
        if len(thinned) < len(text):
            removed += len(text) - len(thinned)
            index = max(index, 0)
            text = thinned
    return unicodedata.normalize("NFC", text), removed, index


def _thin_marks(text: str) -> str:
    """Return the text with at most `_MAX_MARKS` combining marks on each letter."""
    remaining = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            remaining.append(character)
    return "".join(remaining)
