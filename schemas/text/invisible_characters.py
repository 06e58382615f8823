"""Characters that nobody sees: how messages name them, and which of them do not belong in a title."""

from __future__ import annotations

import re
import unicodedata

_NAMES = {
    "\t": "tab",
    "\n": "line feed",
    "\r": "carriage return",
    "\ufeff": "U+FEFF (BYTE ORDER MARK)",
    "\x85": "U+0085 (NEXT LINE)",
    "\ufdd0": "U+0085 (NEXT LINE)",
    "\ufdd1": "U+2028 (LINE SEPARATOR)",
    "\ufdd2": "U+2029 (PARAGRAPH SEPARATOR)",
}

SHORT_TEXTS = frozenset({
    "title", "name", "category", "type", "locale", "domain", "parent", "location", "price",
    "topics", "levels", "keywords", "hashtags", "otherNames",
})  # fmt: skip
"""Fields with short texts, from which `clean_label` removes invisible characters."""

_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_ZERO_WIDTH = "\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0001"
_TAGS = "\U000e0020-\U000e007f"
_FLAG = "\U0001f3f4"
_INVISIBLE = re.compile(f"{_FLAG}[{_TAGS}]+|[{_DIRECTION}{_ZERO_WIDTH}{_TAGS}]")
_JOINERS = "\u200c\u200d"
_MARKS_OF_DIRECTION = "\u061c\u200e\u200f"
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\uaa60-\uaa7f]")
"""Letters of scripts that write no spaces: Thai, Lao, Burmese, Khmer and kin. U+200B stands between their words."""
_UNJOINED = re.compile("[\u0000-\u058f\u1e00-\u1fff\u2c00-\u2dff\u3000-\ud7ff\uff00-\uffef]")
"""Scripts whose letters never need a joiner: Latin, Greek, Cyrillic, Armenian, and those of East Asia."""


def clean_label(text: str) -> str:
    """Return a title or another short text without characters that set a direction or take no space.

    Those that the writing of a script needs stay: joiners in Persian or Hindi and in emoji, U+200B between words of
    Thai, marks of direction in a text with Hebrew or Arabic letters, and the flags made of tags.
    """
    if text.isascii() or _INVISIBLE.search(text) is None:
        return text
    is_right_to_left = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    cleaned = _INVISIBLE.sub(lambda found: found[0] if _is_written(text, found, is_right_to_left) else "", text)
    return text if cleaned == text else cleaned


def _is_written(text: str, found: re.Match[str], is_right_to_left: bool) -> bool:
    """Return whether the invisible character `found` belongs to the writing of the script around it."""
    character, before, after = found[0], text[: found.start()][-1:], text[found.end() :][:1]
    if character in _JOINERS:
        return bool(before) and _UNJOINED.match(before) is None and _INVISIBLE.match(before) is None
    if character == "\u200b":
        return bool(before and after and _SPACELESS.match(before) and _SPACELESS.match(after))
    if character in _MARKS_OF_DIRECTION:
        return is_right_to_left
    return character.startswith(_FLAG)


def is_invisible(character: str) -> bool:
    """Return whether nobody sees the character: a space other than U+0020, a format character, or a separator."""
    return not character.isprintable() and character != " "


def name_of_character(character: str) -> str:
    """Return how a message names a character that is not seen: `tab`, `U+00A0 (NO-BREAK SPACE)`."""
    name = _NAMES.get(character)
    if name is None:
        stated = unicodedata.name(character, "")
        name = f"U+{ord(character):04X}" + (f" ({stated})" if stated else "")
    return name


__all__ = ["SHORT_TEXTS", "clean_label", "is_invisible", "name_of_character"]
