"""The fields of the models, as the published schemas need them: names in documents, types, descriptions."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, BaseModel

from schemas.article import Article
from schemas.forms.written_values import VALUES, Schema
from schemas.kinds import KINDS
from schemas.references import Organization, Topic

TypeHint: TypeAlias = Any
"""The annotation of a field; Python has no type for it."""

_OLDER = {("excerpt", "abstract"), ("ampWebUrl", "ampUrl"), ("cdnAmpWebUrl", "cdnAmpUrl"), ("domain", "id")}


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, list[str], TypeHint, str | None]]:
    """Yield each field's attribute, its names in documents (the newest first), its type and its description."""
    hints = get_type_hints(model, include_extras=True)
    for attribute, field in model.model_fields.items():
        alias = field.validation_alias
        names = list(map(str, alias.choices)) if isinstance(alias, AliasChoices) else [str(alias or attribute)]
        yield attribute, names, hints[attribute], field.description


@lru_cache(maxsize=64)
def names_of(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for _, names, _, _ in fields_of(model) for name in names)


@lru_cache(maxsize=1)
def names_of_all_documents() -> frozenset[str]:
    return frozenset[str]().union(*map(names_of, (Article, *KINDS.values(), Organization, Topic)))


def descriptions_of(model: type[BaseModel]) -> Iterator[tuple[str, Schema]]:
    """Yield each name of a field with a schema that only describes it."""
    for _, (first, *older), hint, description in fields_of(model):
        yield first, {"description": description or _description(hint)}
        for name in older:
            yield name, about_older(first, name)


def _description(hint: TypeHint) -> str:
    hint = without_none(hint)
    if is_list(hint):
        return f"A list. Each entry: {_description(get_args(hint)[0])}"
    described = next((schema.get("description") for type_, _, schema in VALUES if hint == type_), None)
    return str(described) if described else docstring(hint)


def is_required(hint: TypeHint) -> bool:
    return without_none(hint) is hint and not is_list(hint)


def is_list(hint: TypeHint) -> bool:
    origin: object = get_origin(hint)
    return origin is list


def without_none(hint: TypeHint) -> TypeHint:
    origin: object = get_origin(hint)
    if origin is Union or origin is types.UnionType:
        return next(one for one in get_args(hint) if one is not type(None))
    return hint


def about_older(first: str, name: str) -> Schema:
    if (first, name) in _OLDER:
        return {"deprecated": True, "description": f"The older name of {first}."}
    return {"description": f"Another name of {first}."}


def docstring(model: type[BaseModel]) -> str:
    """Return the first paragraph of the class's docstring, in one line."""
    return " ".join((model.__doc__ or "").partition("\n\n")[0].split())
