"""JSON Schemas of documents, in two forms: what a worker accepts, and what it reads without a warning.

They validate the front matter as JSON. The accepted form requires an identity and a title, and allows everything that a
worker drops or reads with a warning. The strict form is valid where there is nothing to warn about. A document with a
key needs no URL: `#/$defs/WithKey` in each schema of an article is the same schema for such a document.

Not in the schemas are the limits of the whole text (bytes, depth, number of values), the warnings about the text and
the names of the front matter (`schemas.codes.TEXT_CODES`), and the rules that `schemas.forms.patterns` lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from schemas.article import PRIMARY_URLS, RELATED_URLS, Article, Image, Provider, RelatedArticle
from schemas.forms.model_fields import (
    TypeHint,
    about_older,
    descriptions_of,
    docstring,
    fields_of,
    is_list,
    is_required,
    names_of,
    names_of_all_documents,
    without_none,
)
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
)
from schemas.kinds import KINDS
from schemas.references import DOMAIN_PATTERN, Organization, Reference, Topic
from schemas.text.any_case import in_any_case
from schemas.text.invisible_characters import SHORT_TEXTS
from schemas.values import MAX_TITLE

DOCUMENTS: dict[str, type[BaseModel]] = {
    "article": Article,
    "organization": Organization,
    "topic": Topic,
    **{name: kind for name, kind in KINDS.items() if kind.own},
}
"""The schema of each kind of document. A kind without fields of its own uses the schema `article`."""

_LISTS = ("topics", "images", "related")
_DOCUMENT_LISTS = (*_LISTS, "levels", "items", "keywords", "hashtags", "otherNames")
_BLANK: Schema = {"enum": [None, ""]}
_FILLED: Schema = {"not": _BLANK}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def accepted_schema(name: str) -> Schema:
    """Return the schema of the documents that a worker accepts. `name`: a key of `DOCUMENTS`."""
    model = DOCUMENTS[name]
    return _document(model, {"type": "object", "properties": dict(descriptions_of(model))}, {})


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
        _known_names(names_of_all_documents() | {"sponsor"}),
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
    about: Schema = {"title": model.__name__, "description": docstring(model)}
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
    known = {attribute: names for attribute, names, _, _ in fields_of(base)} if base else {}
    properties: dict[str, Schema] = {}
    conditions: list[Schema] = []
    required = []
    for attribute, names, hint, description in fields_of(model):
        if known.get(attribute) == names:
            continue
        value = _value(hint, parts)
        first, *older = names
        if is_required(hint):
            required.append(first)
        else:
            value = {"anyOf": [value, _BLANK]}
        properties[first] = {**value, **({"description": description} if description else {})}
        for place, name in enumerate(older, 1):
            properties[name] = about_older(first, name)
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


def _value(hint: TypeHint, parts: dict[str, Schema]) -> Schema:
    hint = without_none(hint)
    if is_list(hint):
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
        parts[hint.__name__] = {"description": docstring(hint), **_part(hint, parts)}
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
    rules = [_object(model, parts), _known_names(names_of(model))]
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
    names = names_of_all_documents() - names_of(model) - {*_DOCUMENT_LISTS, "secured", "taxonomy"}
    single = sorted(name for name in names if not name.endswith("Url"))
    rules = {**dict.fromkeys(single, _ref("NoListOfOne")), **dict.fromkeys(set(lists) - names_of(model), _ref("List"))}
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
