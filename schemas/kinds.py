"""The kinds of document, and how one is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.article import Article

KINDS = frozenset({
    "article", "video", "course", "book", "webinar", "collection", "download", "forum", "answer", "code", "demo",
    "conference", "profile", "sponsorship",
})  # fmt: skip


def kind_of(article: Article) -> str:
    """Name the kind: `type` in lower case, else what the fields tell, else `article`."""
    named = (article.kind or "").strip().lower()
    if named:
        return named
    sponsor = (article.model_extra or {}).get("sponsor")
    return "sponsorship" if isinstance(sponsor, Mapping) else "article"


def is_known(kind: str) -> bool:
    """Tell whether it is a kind that producers are known to send; others are kept all the same."""
    return kind in KINDS


def is_reference(tree: Mapping[str, Any]) -> bool:
    """Tell whether this describes an organisation or a topic (`taxonomy:`) rather than an article."""
    return tree.get("taxonomy") is not None
