"""Clean text so that every store can hold it: no control characters, no lone surrogates, in composed form (NFC)."""

from __future__ import annotations

import re
import unicodedata

# Control characters, lone surrogates, and the noncharacters that `yaml.line_breaks` uses.
UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]")
# Combining marks on one letter, as in Unicode's stream-safe form. Composing longer runs takes quadratic time.
_MAX_MARKS = 30
_LONG_RUN = re.compile(f"[^\x00-\u02ff]{{{_MAX_MARKS + 1}}}")  # no combining mark is below U+0300


def clean_text(text: str) -> tuple[str, int, int]:
    """Return the cleaned text, the number of removed characters, and the index of the first one (-1: none removed).

    Removed are characters that a store cannot hold, and combining marks beyond 30 on one letter. The text is composed
    (NFC).
    """
    first = UNHOLDABLE.search(text)
    cleaned = UNHOLDABLE.sub("", text) if first else text
    index = first.start() if first else -1
    if cleaned.isascii():
        return cleaned, len(text) - len(cleaned), index
    if _LONG_RUN.search(cleaned):
        thinned, surplus = _thin_marks(text)
        if surplus >= 0:
            cleaned = UNHOLDABLE.sub("", thinned)
            index = surplus if index < 0 else min(index, surplus)
    return unicodedata.normalize("NFC", cleaned), len(text) - len(cleaned), index


def _thin_marks(text: str) -> tuple[str, int]:
    """Return the text with at most `_MAX_MARKS` combining marks on each letter, and the index of the first surplus one.

    Characters that are removed anyway do not separate a letter from its marks.
    """
    remaining = []
    marks, first = 0, -1
    for index, character in enumerate(text):
        if unicodedata.combining(character):
            marks += 1
        elif not UNHOLDABLE.match(character):
            marks = 0
        if marks <= _MAX_MARKS or not unicodedata.combining(character):
            remaining.append(character)
        elif first < 0:
            first = index
    return "".join(remaining), first
