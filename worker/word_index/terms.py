"""The terms under which an article is found, and those of a query. Pure: no I/O.

Texts are cut as the linker cuts them (`linking/texts/words.py`): into words, or pairs of characters where a script writes
no spaces. A word of a query also finds longer words that begin with it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from worker.linking.texts.words import words_of

MAX_LENGTH = 60
"""Characters of a term. A tsvector refuses words of more than 2,046 bytes."""
_MIN_PREFIX = 3
"""A shorter word finds only itself, because too many words begin with it."""
_MAX_QUERY_TERMS = 30


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term that must occur. `is_prefix`: longer terms that begin with it count too."""

    text: str
    is_prefix: bool


def terms_of(title: str | None, excerpt: str | None) -> str:
    """Return the different terms of an article, with spaces between them."""
    found: dict[str, None] = {}
    for text in (title, excerpt):
        words = words_of(text)
        for term, is_spaced in zip(words.texts, words.spaced, strict=True):
            found[term[:MAX_LENGTH]] = None
            if not is_spaced:
                # A query may be one character.
                found.update(dict.fromkeys(_characters(term)))
    return " ".join(found)


def query_terms(query: str) -> list[QueryTerm]:
    """Return the terms of a query, at most 30; an article must have all of them."""
    words = words_of(query)
    terms = {
        QueryTerm(term[:MAX_LENGTH], is_prefix=bool(is_spaced) and len(term) >= _MIN_PREFIX): None
        for term, is_spaced in zip(words.texts, words.spaced, strict=True)
    }
    return list(terms)[:_MAX_QUERY_TERMS]


def _characters(pair: str) -> list[str]:
    """Return the characters of a pair, each with its combining marks."""
    starts = [place for place, character in enumerate(pair) if unicodedata.category(character)[0] != "M"]
    return [pair[start:end] for start, end in zip(starts, [*starts[1:], len(pair)], strict=True)]
