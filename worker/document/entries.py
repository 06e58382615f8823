"""Entries of `related` that were read before. A story's stand in each of its documents, and in every version of those.

Of real entries nine in ten are, word for word, among the last 512 different ones: they are not validated again, and what
they say is one object wherever it is said.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from schemas.article import RelatedArticle
from worker.document.recent import Recent
from worker.document.tree import Mapping, Sequence

_LONGEST = 2_000  # characters of an entry that is kept; real ones have some 900
# At most 1,024 of 6.5 kB (real ones, with what editing makes of each): 7 MB. More would find 2 % more of real ones.
_KEPT: Recent[Hashable, RelatedArticle] = Recent(512)


def recall(tree: Mapping, max_url_bytes: int) -> tuple[dict[str, Any], list[tuple[int, Hashable]]]:
    """A prepared tree with the entries that are known in place of what says them, and place and spelling of the others."""
    entries = tree.get("related")
    if not entries:
        return tree, []
    met: list[Any] = []
    unmet: list[tuple[int, Hashable]] = []
    for place, entry in enumerate(entries):
        known = None
        if entry.__class__ is Mapping:
            values = [value if value.__class__ is str else _spelling(value) for value in entry.values()]
            spelling = (max_url_bytes, tuple(entry), tuple(values))
            try:
                known = _KEPT.find(spelling)
            except TypeError:  # something is nested where nothing of ours is
                pass
            else:
                if known is None:
                    unmet.append((place, spelling))
        met.append(known or entry)
    return {**tree, "related": met}, unmet


def remember(related: list[RelatedArticle], unmet: list[tuple[int, Hashable]]) -> None:
    """Keep the entries that `recall` did not know. Only those may be that were read without a word to say of them."""
    for place, spelling in unmet:
        if _length(spelling) <= _LONGEST:
            _KEPT.keep(spelling, related[place])


def _spelling(value: Any) -> Any:
    """A value as it is compared; mappings and lists by their own class, so that no two are mistaken for each other."""
    if value.__class__ is Mapping:
        return (Mapping, *value.items())
    return (Sequence, *map(_spelling, value)) if value.__class__ is Sequence else value


def _length(spelling: Any) -> int:
    """Count the characters of all texts, and one for everything else."""
    if isinstance(spelling, tuple):
        return sum(map(_length, spelling))
    return len(spelling) if isinstance(spelling, str) else 1


__all__ = ["recall", "remember"]
