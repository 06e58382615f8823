"""JSON Schemas of documents, in two forms: what a worker accepts, and what it reads without a warning.

They validate the front matter as JSON. The accepted form requires an identity and a title, and allows everything that a
worker drops or reads with a warning. The strict form is valid where there is nothing to warn about. A document with a
key needs no URL: `#/$defs/WithKey` in each schema of an article is the same schema for such a document.

Not in the schemas are the limits of the whole text (bytes, depth, number of values), the warnings about the text and
the names of the front matter (`schemas.codes.TEXT_CODES`), and the rules that `schemas.forms.patterns` lists.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, BaseModel

from schemas.article import PRIMARY_URLS, RELATED_URLS, Article, Image, Provider, RelatedArticle
from schemas.forms.written_values import (
    ACCEPTED_URL,
    CONTROLS,
    INVISIBLE,
    MAX_ITEMS,
    MAX_KEY_LENGTH,
    MAX_SCALAR,
    SHORT_TEXT,
    SPACE,
    VALUES,
    VISIBLE_PATTERN,
    Schema,
    by_type,
    in_any_case,
)
from schemas.kinds import KINDS
from schemas.references import DOMAIN_PATTERN, Organization, Reference, Topic
from schemas.text.invisible_characters import SHORT_TEXTS
from schemas.values import MAX_TITLE

DOCUMENTS: dict[str, type[BaseModel]] = {
    "article": Article,
    "organization": Organization,
    "topic": Topic,
    **{name: kind for name, kind in KINDS.items() if kind.own},
}
"""The schema of each kind of document. A kind without fields of its own uses the schema `article`."""

TypeHint: TypeAlias = Any
"""The annotation of a field; Python has no type for it."""

_LISTS = ("topics", "images", "related")
_DOCUMENT_LISTS = (*_LISTS, "levels", "items", "keywords", "hashtags", "otherNames")
_OLDER = {("excerpt", "abstract"), ("ampWebUrl", "ampUrl"), ("cdnAmpWebUrl", "cdnAmpUrl"), ("domain", "id")}
_BLANK: Schema = {"enum": [None, ""]}
_FILLED: Schema = {"not": _BLANK}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def accepted_schema(name: str) -> Schema:
    """Return the schema of the documents that a worker accepts. `name`: a key of `DOCUMENTS`."""
    model = DOCUMENTS[name]
    return _document(model, {"type": "object", "properties": dict(_descriptions(model))}, {})


def strict_schema(name: str) -> Schema:
    """Return the schema of the documents that a worker reads without a warning. `name`: a key of `DOCUMENTS`."""
    model = DOCUMENTS[name]
    parts: dict[str, Schema] = {
        "ShortText": SHORT_TEXT,
        "Clean": _clean(),
        "List": _any_list(),
        "NoListOfOne": _no_list_of_one(),
    }
    rules = [
        _object(model, parts),
        _known_names(_document_names() | {"sponsor"}),
        _other_fields(model, _DOCUMENT_LISTS),
        _short_texts(),
        _ref("Clean"),
    ]
    if issubclass(model, Article):
        rules.append(
            {
                "type": "object",
                "properties": {
                    "type": {"anyOf": [_BLANK, {"type": "string", "pattern": _word("|".join(["", *KINDS]))}]}
                },
            }
        )
    if model is Article:
        rules += _kind_rules(parts)
    return _document(model, {"allOf": rules}, parts)


def _document(model: type[BaseModel], body: Schema, parts: dict[str, Schema]) -> Schema:
    """Return the schema of a document: `body`, and what every accepted document needs."""
    about: Schema = {"title": model.__name__, "description": _docstring(model)}
    if issubclass(model, Reference):
        return {**about, "allOf": [body, *_reference_rules(model)], "$defs": dict(sorted(parts.items()))}
    parts = {
        **parts,
        "AcceptedUrl": ACCEPTED_URL,
        "VisibleText": _visible_text(),
        "Identity": {
            "description": "One of the URLs that can identify an article is given.",
            "anyOf": [_has(name, _FILLED) for name in PRIMARY_URLS],
        },
        "WithKey": {
            "description": "A document that is sent with a key. It needs no URL.",
            "allOf": [body, {"not": _has("taxonomy", {"not": {"type": "null"}})}, _title_rule(), _first_url_rule()],
        },
    }
    return {**about, "allOf": [_ref("WithKey"), _ref("Identity")], "$defs": dict(sorted(parts.items()))}


def _docstring(model: type[BaseModel]) -> str:
    """Return the first paragraph of the class's docstring, in one line."""
    return " ".join((model.__doc__ or "").partition("\n\n")[0].split())


# What every accepted document needs.


def _variant(name: str) -> str:
    """Return a pattern for the spellings of a field's name that are read as this field if it is absent."""
    return f"^[{INVISIBLE}]*{in_any_case(name)}[{INVISIBLE}{SPACE}]*$"


def _has(name: str, value: Schema) -> Schema:
    """Return the schema of objects whose field `name`, in any case, has a value that is valid by `value`."""
    otherwise: Schema = {"type": "object", "patternProperties": {_variant(name): {"not": value}}}
    return {"anyOf": [_given(name, value), {"not": {"anyOf": [_given(name, {}), otherwise]}}]}


def _given(name: str, value: Schema) -> Schema:
    """Return the schema of objects whose field `name` has a value that is valid by `value`."""
    return {"type": "object", "required": [name], "properties": {name: value}}


def _first_url_rule() -> Schema:
    """Return the rule that the first URL that is given is valid. It decides, even if the next one would be valid."""
    rule: Schema = {}
    for name in reversed(PRIMARY_URLS):
        rule = {"if": _has(name, _FILLED), "then": _has(name, _ref("AcceptedUrl")), "else": rule}
    return rule


def _title_rule() -> Schema:
    title = _ref("VisibleText")
    anything = _alone_or_listed(title)
    sponsor: Schema = {
        **_given("sponsor", _given("name", title)),
        "not": {"anyOf": [_has("title", _FILLED), _has("name", _FILLED)]},
    }
    return {"anyOf": [_has("title", anything), _has("name", anything), sponsor]}


def _alone_or_listed(value: Schema) -> Schema:
    """Return the schema of a value, or of a list that holds this value alone (it is read with a warning)."""
    return {"anyOf": [value, {"type": "array", "minItems": 1, "maxItems": 1, "items": value}]}


def _visible_text() -> Schema:
    text: Schema = {"type": "string", "maxLength": MAX_TITLE, "pattern": VISIBLE_PATTERN}
    return {"anyOf": [text, {"type": "number"}, {"type": "boolean"}]}


def _reference_rules(model: type[Reference]) -> list[Schema]:
    names = "|".join(model.taxonomies)
    taxonomy: Schema = {"type": "string", "pattern": _word(names)}
    rules = [_has("taxonomy", taxonomy), _has("name", _alone_or_listed(_visible_text()))]
    if issubclass(model, Organization):
        either = _alone_or_listed({"type": "string", "pattern": DOMAIN_PATTERN})
        rules.append({"anyOf": [_has("domain", either), _has("_id", either)]})
    return rules


# The fields of the strict form.


def _object(model: type[BaseModel], parts: dict[str, Schema], base: type[BaseModel] | None = None) -> Schema:
    """Return the schema of a mapping that is read as `model`. Adds the schemas that it refers to to `parts`.

    `base`: leave out the fields that this model has with the same names.
    """
    known = {attribute: names for attribute, names, _, _ in _fields(base)} if base else {}
    properties: dict[str, Schema] = {}
    conditions: list[Schema] = []
    required = []
    for attribute, names, hint, description in _fields(model):
        if known.get(attribute) == names:
            continue
        value = _value(hint, parts)
        first, *older = names
        if _is_required(hint):
            required.append(first)
        else:
            value = {"anyOf": [value, _BLANK]}
        properties[first] = {**value, **({"description": description} if description else {})}
        for place, name in enumerate(older, 1):
            properties[name] = _about_older(first, name)
            given: Schema = {"anyOf": [_given(one, _FILLED) for one in names[:place]]}
            conditions.append({"if": {"not": given}, "then": {"type": "object", "properties": {name: value}}})
    schema: Schema = {
        "type": "object",
        "properties": properties,
    }
    if required:
        schema["required"] = required
    if conditions:
        schema["allOf"] = conditions
    return schema


def _about_older(first: str, name: str) -> Schema:
    if (first, name) in _OLDER:
        return {"deprecated": True, "description": f"The older name of {first}."}
    return {"description": f"Another name of {first}."}


def _value(hint: TypeHint, parts: dict[str, Schema]) -> Schema:
    hint = _without_none(hint)
    if _is_list(hint):
        (item,) = get_args(hint)
        value = _item(item, parts)
        return {"type": "array", "maxItems": MAX_ITEMS, "items": {"anyOf": [value, _BLANK]}}
    for type_, name, schema in VALUES:
        if hint == type_:
            parts[name] = schema
            return _ref(name)
    if hint is Any:
        return {}
    if hint.__name__ not in parts:
        parts[hint.__name__] = {}  # an entry of `related` holds images and a provider as the document does
        parts[hint.__name__] = {"description": _docstring(hint), **_part(hint, parts)}
    return _ref(hint.__name__)


def _item(hint: TypeHint, parts: dict[str, Schema]) -> Schema:
    """Return the schema of an entry of a list. An image and an entry of `related` can be written as its URL alone."""
    value = _value(hint, parts)
    if hint is RelatedArticle:
        url: Schema = {"type": "string", "allOf": [_ref("WebUrl"), {"pattern": f"^[{SPACE}]*[Hh][Tt][Tt][Pp][Ss]?://"}]}
        return {"anyOf": [value, url]}
    if hint is Image:
        return {"anyOf": [value, _ref("ImageUrl")]}
    return value


def _part(model: type[BaseModel], parts: dict[str, Schema]) -> Schema:
    rules = [_object(model, parts), _known_names(_names(model))]
    if model in (RelatedArticle, Provider, Image):
        rules.append(_short_texts())
    if model is RelatedArticle:
        linked: Schema = {"anyOf": [_given(name, _FILLED) for name in RELATED_URLS]}
        rules += [linked, _other_fields(model, _LISTS)]
    return {"allOf": rules}


def _kind_rules(parts: dict[str, Schema]) -> Iterator[Schema]:
    """Yield the rules for the fields that only one kind has, each for documents whose `type` names this kind."""
    for name, kind in KINDS.items():
        if kind.own:
            named = _given("type", {"type": "string", "pattern": _word(name)})
            yield {"if": named, "then": _object(kind, parts, base=Article)}


def _word(words: str) -> str:
    return f"^[{SPACE}]*(?:{in_any_case(words)})[{SPACE}]*$"


def _known_names(names: Iterable[str]) -> Schema:
    """Return the rule that no field has a known name with another case."""
    known = sorted(names)
    pattern = f"^(?!(?:{'|'.join(known)})$)[{INVISIBLE}]*(?:{in_any_case('|'.join(known))})[{INVISIBLE}{SPACE}]*$"
    return {"type": "object", "propertyNames": {"not": {"pattern": pattern}}}


def _short_texts() -> Schema:
    return {"type": "object", "properties": dict.fromkeys(sorted(SHORT_TEXTS), _ref("ShortText"))}


def _other_fields(model: type[BaseModel], lists: Iterable[str]) -> Schema:
    """Return the rule for known fields that `model` does not have.

    They are stored unchanged, but a list of one value is replaced by the value, and a single value of `lists` by a list.
    """
    names = _document_names() - _names(model) - {*_DOCUMENT_LISTS, "secured", "taxonomy"}
    single = sorted(name for name in names if not name.endswith("Url"))
    rules = {**dict.fromkeys(single, _ref("NoListOfOne")), **dict.fromkeys(set(lists) - _names(model), _ref("List"))}
    return {"type": "object", "properties": dict(sorted(rules.items()))}


def _no_list_of_one() -> Schema:
    return {"not": {"type": "array", "minItems": 1, "maxItems": 1, "items": _FILLED}}


def _any_list() -> Schema:
    return {"anyOf": [{"type": "array", "maxItems": MAX_ITEMS}, _BLANK]}


def _clean() -> Schema:
    """Return the schema of values without characters, lengths or names that a worker would have to remove."""
    visible = f"^[^{CONTROLS}]*$"
    return {
        "description": "Text without control characters, of at most 262,144 characters; names of at most 200.",
        **by_type(
            string={"maxLength": MAX_SCALAR, "pattern": visible},
            array={"items": _ref("Clean")},
            object_={
                "propertyNames": {"maxLength": MAX_KEY_LENGTH, "pattern": visible},
                "additionalProperties": _ref("Clean"),
            },
        ),
    }


# What the models say.


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, list[str], TypeHint, str | None]]:
    """Yield each field's attribute, its names in documents (the newest first), its type and its description."""
    hints = get_type_hints(model, include_extras=True)
    for attribute, field in model.model_fields.items():
        alias = field.validation_alias
        names = list(map(str, alias.choices)) if isinstance(alias, AliasChoices) else [str(alias or attribute)]
        yield attribute, names, hints[attribute], field.description


@lru_cache(maxsize=64)
def _names(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for _, names, _, _ in _fields(model) for name in names)


@lru_cache(maxsize=1)
def _document_names() -> frozenset[str]:
    return frozenset[str]().union(*map(_names, (Article, *KINDS.values(), Organization, Topic)))


def _descriptions(model: type[BaseModel]) -> Iterator[tuple[str, Schema]]:
    """Yield each name of a field with a schema that only describes it."""
    for _, (first, *older), hint, description in _fields(model):
        yield first, {"description": description or _description(hint)}
        for name in older:
            yield name, _about_older(first, name)


def _description(hint: TypeHint) -> str:
    hint = _without_none(hint)
    if _is_list(hint):
        return f"A list. Each entry: {_description(get_args(hint)[0])}"
    described = next((schema.get("description") for type_, _, schema in VALUES if hint == type_), None)
    return str(described) if described else _docstring(hint)


def _is_required(hint: TypeHint) -> bool:
    return _without_none(hint) is hint and not _is_list(hint)


def _is_list(hint: TypeHint) -> bool:
    origin: object = get_origin(hint)
    return origin is list


def _without_none(hint: TypeHint) -> TypeHint:
    origin: object = get_origin(hint)
    if origin is Union or origin is types.UnionType:
        return next(one for one in get_args(hint) if one is not type(None))
    return hint
