"""Line breaks that only YAML 1.1 knows: U+0085, U+2028 and U+2029. Editors and YAML 1.2 take them for characters.

libyaml reads YAML 1.1. So each of them is replaced by a noncharacter of Unicode before the parser runs, and put back
into the values. U+0085 stays replaced: it is a control character, and `clean_text` removes both.
"""

from __future__ import annotations

_STAND_INS = {"\x85": "\ufdd0", "\u2028": "\ufdd1", "\u2029": "\ufdd2"}
_REPLACE = str.maketrans(_STAND_INS)
_RESTORE = str.maketrans({"\ufdd1": "\u2028", "\ufdd2": "\u2029"})


def hide_other_breaks(text: str) -> str:
    """Return the text, of the same length, without the line breaks that only YAML 1.1 knows."""
    if text.isascii() or not ("\x85" in text or "\u2028" in text or "\u2029" in text):
        return text
    return text.translate(_REPLACE)


def show_other_breaks(text: str) -> str:
    """Return the value with the characters that `hide_other_breaks` replaced."""
    return text.translate(_RESTORE) if "\ufdd1" in text or "\ufdd2" in text else text
