"""The names of fields in documents, taken from the models."""

from __future__ import annotations

from functools import lru_cache

from pydantic import AliasChoices, BaseModel

from schemas.article import Article, Image, Provider, Ratings, RelatedArticle
from schemas.kinds import KINDS, Repository
from schemas.references import Organization, Topic


@lru_cache(maxsize=64)
def names_of(model: type[BaseModel]) -> frozenset[str]:
    """Return all names under which documents write the fields of a model."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names.update(map(str, alias.choices) if isinstance(alias, AliasChoices) else {str(alias or name)})
    return frozenset(names)


PARTS: dict[str, type[BaseModel]] = {"images": Image, "provider": Provider, "ratings": Ratings, "github": Repository}
"""The fields of a document that hold mappings, with the model of each mapping."""

DOCUMENT_NAMES = frozenset[str]().union(*map(names_of, (Article, *KINDS.values(), Organization, Topic)))
"""The names of all fields at the top of documents of any kind."""

KNOWN_NAMES = DOCUMENT_NAMES.union(*map(names_of, (RelatedArticle, *PARTS.values())))
"""The names of all fields that any model has."""

__all__ = ["DOCUMENT_NAMES", "KNOWN_NAMES", "PARTS", "names_of"]
