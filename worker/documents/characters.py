"""Text that every store can hold: no controls, no lone surrogates, composed (NFC)."""

from __future__ import annotations

import re
import unicodedata

UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_MARKS = 30  # on one letter, as in Unicode's stream-safe form: composing longer runs takes quadratic time
_LONG_RUN = re.compile(f"[^\x00-\u02ff]{{{_MAX_MARKS + 1}}}")  # no combining mark is below U+0300


def clean_text(text: str) -> tuple[str, int, int]:
    """Return the text without what no store holds, how many characters went, and the index of the first (or -1)."""
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
    """Leave at most thirty combining marks on a letter."""
    remaining = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            remaining.append(character)
    return "".join(remaining)
