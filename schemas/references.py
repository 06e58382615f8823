"""Reference documents. They have the field `taxonomy` and describe an organisation or a topic instead of an article.

An organisation adds data to the provider of its domain, and a topic to the topic of its name. Articles that refer to
them are enriched with that data from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from schemas.article import Image, _Model
from schemas.values import Label, Text, Title

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_AFTER_SCHEME = r"(?://|[^0-9]|$)"  # `news.example:8080` is a host with a port
_NOT_IN_LABEL = r"\u0000-\u002c\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u007f"
DOMAIN_PATTERN = (
    rf"^\s*(?:{_SCHEME}(?={_AFTER_SCHEME})|(?!{_SCHEME}{_AFTER_SCHEME}))[/\\]*(?:[^/?#\\@]*@)*"
    rf"[^{_NOT_IN_LABEL}]*[^{_NOT_IN_LABEL}.]\.(?![0-9]+(?:[.:/?#\\\s]|$))[^{_NOT_IN_LABEL}.]+\.*(?::[0-9]*)?(?:[/?#\\]|\s*$)"
)
"""A host name with a dot, alone or in a URL."""
_DOMAIN = re.compile(DOMAIN_PATTERN)


def is_domain(text: str) -> bool:
    """Return whether a text names a host by which a provider can be known. It does not know public suffixes."""
    return _DOMAIN.match(text) is not None


class Reference(_Model):
    """The fields that organisations and topics share. `_id` is the producer's own identity for the subject."""

    taxonomies: ClassVar[tuple[str, ...]]

    taxonomy: Text
    id: Text | None = Field(None, alias="_id")
    name: Title | None = None
    description: Text | None = None
    images: list[Image] = Field(default_factory=list)


class Organization(Reference):
    """The publisher on a domain. Without `domain`, `_id` is the domain (`taxonomy: provider`, of 2019, has it there)."""

    taxonomies = ("organization", "provider")

    domain: Label | None = None
    other_names: list[Label] = Field(default_factory=list, alias="otherNames")


class Topic(Reference):
    """A topic: the words by which it is found in an article's text, and the topic above it."""

    taxonomies = ("topic", "term")

    parent: Label | None = None
    keywords: list[Label] = Field(default_factory=list)
    hashtags: list[Label] = Field(default_factory=list)


REFERENCES: dict[str, type[Organization] | type[Topic]] = {
    name: model for model in (Organization, Topic) for name in model.taxonomies
}


def is_reference(tree: Mapping[str, object]) -> bool:
    """Return whether the document has `taxonomy`: it then describes an organisation or a topic, not an article."""
    return tree.get("taxonomy") is not None


def reference_model(tree: Mapping[str, object]) -> type[Organization] | type[Topic] | None:
    """Return the class that validates a reference document, or None if its taxonomy is unknown."""
    taxonomy = tree.get("taxonomy")
    return REFERENCES.get(taxonomy.strip().lower()) if isinstance(taxonomy, str) else None
