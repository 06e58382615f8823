"""Field names that are almost those of known fields: `weburl`, `Topics`, `web_url`, `titel`, `pubDate`.

A name that differs only in case is read as the known field, if that field is absent. Any other name stays unknown, so
its value is stored unchanged. Both get a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from schemas.article import RelatedArticle
from schemas.known_names import DOCUMENT_NAMES, KNOWN_NAMES, PARTS, names_of
from worker.documents.normalisation import Note, mappings
from worker.documents.yaml.nodes import MappingNode, Path

_NOT_WORD = re.compile(r"[\W_]+")
_SHORTEST_MISSPELT = 5  # letters; shorter names differ from each other by one letter too often
_URL = ("url", "uri", "link", "permalink", "canonical", "canonicalUrl", "primaryUrl", "articleUrl", "pageUrl")
_PUBLISHED = ("date", "pubDate", "published_at", "datePublished", "publishDate")
_UPDATED = ("updated_at", "dateModified", "modifiedDate", "lastmod")
_OTHER_WORDS = dict.fromkeys(_URL, "webUrl") | dict.fromkeys(_PUBLISHED, "publishedDateTime")
_OTHER_WORDS |= dict.fromkeys(_UPDATED, "updatedDateTime")
_OTHER_WORDS |= {"headline": "title", "summary": "excerpt"}
_OTHER_WORDS = {_NOT_WORD.sub("", word.casefold()): name for word, name in _OTHER_WORDS.items()}
"""Names that other formats (RSS, JSON-LD, site generators) have for fields of the article: lower case, letters only."""


_DOCUMENT = DOCUMENT_NAMES | {"sponsor"}
_ONLY_IN_PARTS = ("url",)
"""Known names of entries and images that an author may write at the top of a document, where they are unknown."""


class Suggestion(NamedTuple):
    """A known name that an unknown one resembles, and whether they differ only in case and invisible characters."""

    name: str
    is_same: bool


def note_field_names(tree: MappingNode, names: frozenset[str], note: Note) -> None:
    """Warn about each unknown field with almost the name of a known one, and rename it where only the case differs.

    `names` are all unknown field names of the block. Nearly always there is none, and nothing has to be searched.
    """
    unknown = {name for name in names if _resembles(name)}
    unknown.update(name for name in _ONLY_IN_PARTS if name in tree)
    if not unknown:
        return
    for node, path, known in _parts(tree):
        for name in sorted(name for name in node if name in unknown):
            suggestion = suggest(name, known)
            if suggestion is not None and (suggestion.is_same or suggestion.name not in node):
                _note(node, path, name, suggestion, note)


def _note(node: MappingNode, path: Path, name: str, suggestion: Suggestion, note: Note) -> None:
    right = suggestion.name
    if suggestion.is_same and right in node:
        message = f"It is stored unchanged, because {right} is given too."
        note("field_name_case", (*path, name), message, expected=right)
    elif suggestion.is_same:
        note("field_name_case", (*path, name), f"It is read as {right}.", expected=right)
        node[right], node.marks[right] = node.pop(name), node.marks[name]
    else:
        message = f"This field is unknown and stored unchanged. Did you mean {right}?"
        note("field_name_unknown", (*path, name), message, expected=right)


def _parts(tree: MappingNode) -> Iterator[tuple[MappingNode, Path, frozenset[str]]]:
    """Yield the document, its entries of `related` and their parts: the node, its path and the names it may have."""
    yield tree, (), _DOCUMENT
    entries: list[tuple[MappingNode, Path]] = [(tree, ())]
    for index, entry in mappings(tree.get("related")):
        path: Path = ("related",) if index is None else ("related", index)
        yield entry, path, names_of(RelatedArticle)
        entries.append((entry, path))
    for node, path in entries:
        for name, model in PARTS.items():
            for index, part in mappings(node.get(name)):
                yield part, (*path, name) if index is None else (*path, name, index), names_of(model)


def _resembles(name: str) -> bool:
    return suggest(name, KNOWN_NAMES | {"sponsor"}) is not None


def suggest(name: str, known: frozenset[str]) -> Suggestion | None:
    """Return the name among `known` that an unknown `name` was probably meant to be, or None."""
    if name in known or name[:1].isspace():  # a space in front was meant as indentation: the field belongs elsewhere
        return None
    names = _spellings(known)
    visible = "".join(filter(str.isprintable, name)).strip().casefold()
    plain = _NOT_WORD.sub("", visible)
    if visible in names.by_case:
        return Suggestion(names.by_case[visible], True)
    if plain in names.by_plain:
        return Suggestion(names.by_plain[plain], False)
    if plain in _OTHER_WORDS:
        other = _OTHER_WORDS[plain]
        return Suggestion(other, False) if other in known else None
    near = next((one for one in names.near(plain) if _is_misspelt(plain, one)), None)
    return Suggestion(names.by_plain[near], False) if near else None


class _Spellings:
    """The ways to write each of some known names. Made once for each set of names: a document may have many others."""

    def __init__(self, known: frozenset[str]) -> None:
        self.by_case = {name.casefold(): name for name in sorted(known)}
        self.by_plain = {_NOT_WORD.sub("", written): name for written, name in self.by_case.items()}
        self._by_shortened: dict[str, list[str]] = {}
        for plain in self.by_plain:
            if len(plain) >= _SHORTEST_MISSPELT:
                for one in _shortened(plain):
                    self._by_shortened.setdefault(one, []).append(plain)
        self._longest = max(map(len, self.by_plain), default=0)

    def near(self, plain: str) -> Iterator[str]:
        """Yield the names that are equal to `plain` when one letter at most is removed from each (symmetric deletes)."""
        if _SHORTEST_MISSPELT <= len(plain) <= self._longest + 1:
            for one in _shortened(plain):
                yield from self._by_shortened.get(one, ())


_spellings = lru_cache(maxsize=64)(_Spellings)


def _shortened(word: str) -> list[str]:
    """Return `word`, and `word` without one of its letters."""
    return list(dict.fromkeys([word, *(word[:place] + word[place + 1 :] for place in range(len(word)))]))


def _is_misspelt(written: str, right: str) -> bool:
    """Return whether one letter is missing, surplus, wrong, or swapped with the next one.

    A plural is not: `locations` is a field of its own beside `location`.
    """
    if written == right + "s" or abs(len(written) - len(right)) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(written, right, strict=False)) if a != b), min(len(written), len(right))
    )
    rest, right_rest = written[start:], right[start:]
    swapped = rest[1:2] + rest[:1] + rest[2:]
    return rest[1:] == right_rest or rest == right_rest[1:] or rest[1:] == right_rest[1:] or swapped == right_rest


__all__ = ["note_field_names", "suggest"]
