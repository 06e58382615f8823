"""Reference documents: what `taxonomy` marks. They describe no article, but what articles refer to.

An organisation completes the provider of its domain, a topic the topic of its name; they serve the enrichment of articles
from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from schemas.article import Image, _Model
from schemas.values import Text


class Reference(_Model):
    """What organisations and topics have in common. `_id` is their producer's own name for them."""

    taxonomies: ClassVar[tuple[str, ...]]

    taxonomy: Text
    id: Text | None = Field(None, alias="_id")
    name: Text | None = None
    description: Text | None = None
    images: list[Image] = Field(default_factory=list)


class Organization(Reference):
    """Who publishes under a domain. Without `domain`, `_id` is it."""

    taxonomies = ("organization",)

    domain: Text | None = None
    other_names: list[Text] = Field(default_factory=list, alias="otherNames")


class Topic(Reference):
    """A topic: the words by which it is found in an article's text, and the topic above it."""

    taxonomies = ("topic", "term")

    parent: Text | None = None
    keywords: list[Text] = Field(default_factory=list)
    hashtags: list[Text] = Field(default_factory=list)


REFERENCES: dict[str, type[Organization] | type[Topic]] = {
    name: model for model in (Organization, Topic) for name in model.taxonomies
}


def is_reference(tree: Mapping[str, Any]) -> bool:
    """Tell whether this describes an organisation or a topic (`taxonomy:`) rather than an article."""
    return tree.get("taxonomy") is not None


def reference_model(tree: Mapping[str, Any]) -> type[Organization] | type[Topic] | None:
    """The class by which a reference document is validated; None: its taxonomy is unknown."""
    taxonomy = tree.get("taxonomy")
    return REFERENCES.get(taxonomy.strip().lower()) if isinstance(taxonomy, str) else None
