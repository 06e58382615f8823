"""Topics as stated: one spelling each, in their order."""

from __future__ import annotations

from collections.abc import Iterable

from worker.enrich.text import clean


def stated_topics(topics: Iterable[str]) -> list[str]:
    """Cleaned, without repeats (case aside); the first spelling is kept."""
    kept: dict[str, str] = {}
    for topic in topics:
        name = clean(topic)
        if name:
            kept.setdefault(name.casefold(), name)
    return list(kept.values())
