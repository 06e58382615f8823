"""Names and numbers that stand in the same place of two titles and differ: "Italy reports 627 cases", "Spain …  832 …".

Two reports that follow one pattern have a higher score than two reports of one event in other words, and such a
conflict is what tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

from worker.linking.texts.features import FUNCTION_WORDS
from worker.linking.texts.words import words

_MAX_TITLE_WORDS = 40  # compared at most, because the time grows with their product; the longest real title has 30
_MAX_EXCERPT_CHARACTERS = 8_000  # searched for names; the longest real excerpt has 993
_MAX_PLACE_WORDS = 3  # a longer difference of two titles is another wording, not another name in the same place
_TITLE_CASE_SHARE = 0.9
_MIN_TITLE_CASE_WORDS = 2
_SHORT = 3  # letters; title case leaves some words of this length small
_CACHED = 32_768  # names; articles of one time name the same people and places
_TOKEN = re.compile(r"\w(?:[\w.'’-]*\w)?")
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")
_POSSESSIVES = ("'s", "'S", "’s", "’S")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+")

Conflict = tuple[str, str]


class TitleNames:
    """The first words of a title as they are written, those that are (parts of) names, and all words of an article.

    A name is a word with a capital letter that does not begin a sentence of the excerpt. In the title, too, unless its
    words all begin with capital letters. In German these are all nouns, which is as good.
    """

    def __init__(self, title: str | None, excerpt: str | None, words: frozenset[str]) -> None:
        self.title = _tokens(title or "")[:_MAX_TITLE_WORDS]
        self.words = words
        self.capitals = {word for token in self.title if token[0].isupper() for word in _words_of(token)}
        """The words of the title that may be names."""
        self.numbers = {word for token in self.title if token[0].isdigit() for word in _words_of(token)}
        self._is_upper_case = (title or "").isupper()
        self._excerpt = (excerpt or "")[:_MAX_EXCERPT_CHARACTERS]

    @classmethod
    def of(cls, title: str | None, excerpt: str | None) -> TitleNames:
        """Return the names of one article."""
        return cls(title, excerpt, frozenset((*words(title), *words(excerpt))))

    @cached_property
    def names(self) -> set[str]:
        """The words of names, in lower case."""
        named, is_title_case = _names_in(self._excerpt), _is_title_case(self.title)
        names: set[str] = set()
        for place, token in enumerate(self.title):
            parts = _words_of(token)
            if token[0].isupper() and (
                (place and not is_title_case)
                or (_has_inner_capital(token) and not self._is_upper_case)
                or not named.isdisjoint(parts)
            ):
                names.update(parts)
        return names


def conflicts_of(one: TitleNames, other: TitleNames) -> list[Conflict]:
    """Return what stands in the same place of two titles: different numbers, or names that only one article contains.

    A number that both articles contain is no conflict if both contain the other number too. A name is none if the other
    article contains it: "Google" and "Alphabet" may be two names of one company.
    """
    if not _may_conflict(one, other):
        return []
    matcher = SequenceMatcher(None, _folded(one.title), _folded(other.title), autojunk=False)
    found = []
    for change, begin, end, other_begin, other_end in matcher.get_opcodes():
        mine, theirs = one.title[begin:end], other.title[other_begin:other_end]
        if (
            change == "replace"
            and max(len(mine), len(theirs)) <= _MAX_PLACE_WORDS
            and (_numbers_differ(mine, theirs, one, other) or _names_differ(mine, theirs, one, other))
        ):
            found.append((" ".join(mine), " ".join(theirs)))
    return found


def _may_conflict(one: TitleNames, other: TitleNames) -> bool:
    """Whether the titles have numbers, or names, that are not in both articles; wherever they stand.

    Most pairs end here: to compare the places of two titles takes 50 µs.
    """
    if one.numbers and other.numbers and not one.numbers | other.numbers <= one.words & other.words:
        return True
    if one.capitals <= other.words or other.capitals <= one.words:
        return False
    return not (one.names <= other.words or other.names <= one.words)


def _numbers_differ(mine: Sequence[str], theirs: Sequence[str], one: TitleNames, other: TitleNames) -> bool:
    numbers, other_numbers = _numbers_of(mine), _numbers_of(theirs)
    if not numbers or not other_numbers or not numbers.isdisjoint(other_numbers):
        return False
    digits = {word for token in (*mine, *theirs) if token[0].isdigit() for word in _words_of(token)}
    return not digits <= one.words & other.words


def _names_differ(mine: Sequence[str], theirs: Sequence[str], one: TitleNames, other: TitleNames) -> bool:
    names = {word for token in mine for word in _words_of(token)} & one.names
    other_names = {word for token in theirs for word in _words_of(token)} & other.names
    return bool(names - other.words) and bool(other_names - one.words)


def _numbers_of(tokens: Sequence[str]) -> set[str]:
    """Return the numbers at the beginning of tokens: "200M" and "200mn" are the same number."""
    return {found[0].replace(",", "") for token in tokens if (found := _NUMBER.match(token))}


def _tokens(text: str) -> list[str]:
    """Return the words of a text as they are written, without quotation marks and possessive endings."""
    return [token[:-2] if token.endswith(_POSSESSIVES) else token for token in _TOKEN.findall(text)]


def _names_in(text: str) -> set[str]:
    """Return the words with a capital letter that do not begin a sentence."""
    return {
        word
        for sentence in _SENTENCE.split(text)
        for token in _tokens(sentence)[1:]
        if token[0].isupper()
        for word in _words_of(token)
    }


def _is_title_case(tokens: Sequence[str]) -> bool:
    long = [
        token
        for token in tokens[1:]
        if token[0].isalpha() and len(token) > _SHORT and token.casefold() not in FUNCTION_WORDS
    ]
    capitals = sum(token[0].isupper() for token in long)
    return len(long) >= _MIN_TITLE_CASE_WORDS and capitals >= _TITLE_CASE_SHARE * len(long)


def _has_inner_capital(token: str) -> bool:
    return any(character.isupper() or character.isdigit() for character in token[1:])


def _folded(tokens: Sequence[str]) -> list[str]:
    return [token.casefold() for token in tokens]


@lru_cache(_CACHED)
def _words_of(token: str) -> tuple[str, ...]:
    return tuple(words(token))
