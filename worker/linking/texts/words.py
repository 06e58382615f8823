"""Texts as words, in every script.

Scripts with spaces give words with their combining marks. Text of scripts without spaces (Chinese, Japanese, Thai, Lao,
Khmer, Burmese) gives overlapping pairs of characters, as is usual where no dictionary cuts it into words (Nie et al.
2000, "On the use of words and n-grams for Chinese information retrieval"). So does Korean, whose particles stick to
the words. Words of Cyrillic and Arabic, which are inflected much, are cut to what rarely changes; words of English lose
their endings.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import regex

MAX_WORDS = 200
"""Words of the title and of the excerpt that count; more add nothing, and a hostile excerpt could be long."""
_MAX_CHARACTER_PAIRS = 600  # so many cover as much text as the words
_MAX_CHARACTERS = MAX_WORDS * 40

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")  # the same as `_WORD` in such a text, in a third of the time
_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")
_NEEDS_CARE = re.compile(r"[^\x00-\xac\xae-\u024f\u2010-\u205f]")
"""A character that is neither Latin nor punctuation, such as one of another script or of `_JOINERS`."""
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Hangul}"
    "ー"  # prolongs a vowel of Katakana; Unicode counts it as common to several scripts
)
_IS_UNSPACED = regex.compile(f"[{_UNSPACED}]")
_RUN = regex.compile(rf"(?:[{_UNSPACED}]\p{{M}}*)+|(?:(?![{_UNSPACED}])[\p{{L}}\p{{N}}]\p{{M}}*)+")
_CHARACTER = regex.compile(r"\P{M}\p{M}*")
_JOINERS = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060\ufeff"))
"""Characters inside a word that nobody sees: a soft hyphen, and the joiners of Persian and of Indic scripts."""

_IS_INFLECTED = regex.compile(r"[\p{Cyrillic}\p{Arabic}]")
_CYRILLIC = regex.compile(r"\p{Cyrillic}")
_CYRILLIC_LETTERS = 5
"""Letters that are kept of a Cyrillic word. (Truncation, McNamee and Mayfield 2004. Measured with pairs of Russian
headlines about one event: mean score .34 with whole words, .48 with 4 letters, .46 with 5 and .41 with 6.)"""
_ARABIC_PREFIX = regex.compile(r"^(?:[وف]?[بك]?ال|[وف]?لل|و(?=\w{4}))")
_ARABIC_SUFFIX = regex.compile(r"(?:ها|ان|ات|ون|ين|يه|ية|ه|ة|ي)$")
_MIN_ARABIC_LETTERS = 3
"""Prefixes and suffixes are those of the stemmer light10 (Larkey et al. 2007); at least so many letters remain."""

_PLURAL = re.compile(r"(?<=[a-z]{4})(?<![sui])s$")
_MIN_ENGLISH_LETTERS = 4
_MIN_LETTERS_BEFORE_E = 6
_CACHED = 65_536  # words

_BLOCKS = (
    (0x0000, 0), (0x0370, 1), (0x0400, 2), (0x0530, 1), (0x0590, 1), (0x0600, 3), (0x0780, 1), (0x0900, 4), (0x0980, 5),
    (0x0D80, 5), (0x0E00, 6), (0x0F00, 1), (0x1000, 7), (0x10A0, 1), (0x1100, 8), (0x1200, 1), (0x1780, 7), (0x1800, 1),
    (0x1E00, 0), (0x2E80, 9), (0x3040, 10), (0x3100, 9), (0x3130, 8), (0x3190, 9), (0xA960, 8), (0xA980, 1), (0xAC00, 8),
    (0xD7B0, 1), (0xF900, 9), (0xFB00, 0), (0xFB50, 3), (0xFE00, 0), (0x10000, 1), (0x20000, 9), (0x40000, 1),
)  # fmt: skip
_STARTS = [start for start, _ in _BLOCKS]
SCRIPTS = 11
"""Groups of scripts: 0 Latin and digits, 1 others, 2 Cyrillic, 3 Arabic, 4 Devanagari, 5 further scripts of India,
6 Thai and Lao, 7 Burmese and Khmer, 8 Hangul, 9 Han, 10 Kana."""
FIRST_UNSPACED = 6
"""The groups from here on are cut into pairs of characters."""


class Words:
    """The words of a text, in order, cut to what rarely changes. `spaced` has a byte for each: 0 for a pair of characters.

    `forms` are the words as the text has them, but case-folded.
    """

    __slots__ = ("forms", "spaced", "texts")

    def __init__(self, texts: list[str], spaced: bytes, forms: list[str]) -> None:
        self.texts = texts
        self.spaced = spaced
        self.forms = forms


def words_of(text: str | None) -> Words:
    """Return the first words of a text: case-folded, without differences of width (NFKC)."""
    if not text:
        return Words([], b"", [])
    plain = text[:_MAX_CHARACTERS]
    if plain.isascii():
        return _spaced(_ASCII_WORD.findall(plain.casefold()))
    plain = unicodedata.normalize("NFKC", plain)
    if not _NEEDS_CARE.search(plain):
        return _spaced(_WORD.findall(plain.casefold()))
    plain = plain.translate(_JOINERS)
    texts = _WORD.findall(plain.casefold())
    return _cut(texts) if _IS_UNSPACED.search(plain) else _spaced(texts)


def words(text: str | None) -> list[str]:
    """Return the texts of `words_of`."""
    return words_of(text).texts


def script_of(word: str) -> int:
    """Return the group of scripts (see `SCRIPTS`) of a word; of a pair with Kana it is Kana."""
    if word.isascii():
        return 0
    return max(_BLOCKS[bisect_right(_STARTS, ord(character)) - 1][1] for character in word[:2])


def scripts_of(texts: Sequence[str]) -> list[int]:
    """Return `script_of` of each word."""
    scripts = [0] * len(texts)
    if "".join(texts).isascii():
        return scripts
    for place, is_latin in enumerate(map(str.isascii, texts)):
        if not is_latin:
            scripts[place] = script_of(texts[place])
    return scripts


def _spaced(texts: list[str]) -> Words:
    del texts[MAX_WORDS:]
    return Words(list(map(_STEMS.__getitem__, texts)), b"\1" * len(texts), texts)


def _cut(texts: list[str]) -> Words:
    """Replace the parts of words that are written without spaces by pairs of characters."""
    forms: list[str] = []
    spaced = bytearray()
    for word in texts:
        for run in _RUN.findall(word):
            characters = _CHARACTER.findall(run) if _IS_UNSPACED.match(run) else []
            found = [one + other for one, other in pairwise(characters)] or [run]
            forms += found
            spaced += (b"\0" if characters else b"\1") * len(found)
    end = _MAX_CHARACTER_PAIRS if 0 in spaced else MAX_WORDS
    return Words(list(map(_STEMS.__getitem__, forms[:end])), bytes(spaced[:end]), forms[:end])


class _Stems(dict[str, str]):
    """Word → its stem, computed when it is missing. A dictionary answers in half of the time that `lru_cache` takes."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHED:
            self.clear()
        stem = self[word] = _stem(word)
        return stem


_STEMS = _Stems()


def _stem(word: str) -> str:
    """Return what rarely changes of an inflected word; other words as they are."""
    if word.isascii():
        return _english_stem(word)
    if not _IS_INFLECTED.match(word):
        return word
    if _CYRILLIC.match(word):
        return word[:_CYRILLIC_LETTERS]
    for affix in (_ARABIC_PREFIX, _ARABIC_SUFFIX):
        shorter = affix.sub("", word, count=1)
        word = shorter if len(shorter) >= _MIN_ARABIC_LETTERS else word
    return word


def _english_stem(word: str) -> str:
    """Return an English word without the endings of plurals and verbs: `bans`, `banned` and `banning` are `ban`.

    (The S-stemmer of Harman 1991, with two endings of verbs. Measured in two collections: MAP +.010 and .000, recall@10
    +.011 and .000, and 8 % more of the pairs that `related` lists reach a score of 0.15.) Words of other languages in
    Latin script lose the same endings, which does no harm: all words of a text are treated alike.
    """
    if len(word) <= _MIN_ENGLISH_LETTERS or not word.isalpha():
        return word
    word = word[:-3] + "y" if word.endswith("ies") else _PLURAL.sub("", word)
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _MIN_ENGLISH_LETTERS:
            is_doubled = stem[-1] == stem[-2] and stem[-1] not in "ls"
            return stem[:-1] if is_doubled else stem
    return word[:-1] if word.endswith("e") and len(word) > _MIN_LETTERS_BEFORE_E else word
