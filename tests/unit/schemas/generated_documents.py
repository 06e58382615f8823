"""Documents as JSON, generated from the models: valid and odd values under all names that a field has."""

from __future__ import annotations

import json
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel

from schemas.article import Article, Image, RelatedArticle
from schemas.forms.written_values import VALUES
from schemas.kinds import KINDS
from schemas.references import Organization, Topic
from tests.unit.schemas.generated import GOOD_IMAGES, GOOD_TIMES, GOOD_URLS, ODD_IMAGES, ODD_TIMES, ODD_URLS

_ODD = [None, "", " ", True, 0, -1, 2**31, 1.5, "x", [], {}, [[]], ["x"], ["x", "y"], [None], {"url": 1}, {"x": ["y"]}]
_LABELS = [
    "x",
    "Küste 🌊",
    "No",
    "1.10",
    7,
    1.5,
    True,
    "क्‍ष",
    "ไทย\u200bไทย",
    "שלום\u200f!",
    "a\u200bb",
    "\u202ex",
    "\u200b",
    "a\u0007b",
]
_SAMPLES: dict[str, list[Any]] = {
    "Text": ["x", "Küste 🌊", "a\nb", "No", "1.10", 7, 1.5, True, "a\u0007b", "\u202ex", "a\x85b"],
    "Label": [*_LABELS, "x" * 200, "x" * 201],
    "Title": [*_LABELS, "x" * 1000, "x" * 1001],
    "Integer": [34, -1, "34", " 34 ", "+5", "007", "34.0", 2**31 - 1, "2147483647", "2147483648", "-2147483648", "-2147483649",
                2**31, "x", 1.5, "1e3", True, "0" * 15 + "2147483647", "3" * 11, "5.00001"],
    "Number": [4.5, 3, "4.5", " -3 ", "9" * 15, "9" * 16, 10**15, "x", True, "1,5"],
    "Boolean": [True, False, "true", "No", " ON ", "yEs", 1, 0, "1", "y"],
    "Timestamp": [*GOOD_TIMES, *ODD_TIMES, "Sat, 19 Mar 2022 22:45:00 +0000", "20200529T225700Z", "2020-05-29T24:00:00Z", 20200529],
    "Duration": ["PT44M", "1:16", "16 hours", "1h 46m", "P1Y2M", "P", "PT", "44", 44, "2 Months and 3 days", "2 fortnights"],
    "WebUrl": [*GOOD_URLS, *ODD_URLS, "https://a.example/\u202fx", "\ufeffhttps://a.example/x", 5],
    "ImageUrl": [*GOOD_IMAGES, *ODD_IMAGES],
}  # fmt: skip
assert set(_SAMPLES) == {name for _, name, _ in VALUES}
_UNKNOWN = (
    "somethingElse",
    "tags",
    "featuredContent",
    "Title",
    "WEBURL",
    "topics",
    "related",
    "location",
    "members",
    "keywords",
)


def _names(model: type[BaseModel]) -> dict[str, list[str]]:
    aliases = {attribute: field.validation_alias or attribute for attribute, field in model.model_fields.items()}
    return {a: list(map(str, n.choices)) if isinstance(n, AliasChoices) else [str(n)] for a, n in aliases.items()}


def _value(hint: Any) -> st.SearchStrategy[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        hint = get_args(hint)[0]
    if get_origin(hint) is list:
        return st.lists(_value(get_args(hint)[0]) | st.sampled_from(_ODD), max_size=2)
    for type_, name, _ in VALUES:
        if hint == type_:
            return st.sampled_from(_SAMPLES[name])
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        alone = st.sampled_from(GOOD_URLS[:2]) if hint in (Image, RelatedArticle) else st.nothing()
        return _mapping(hint) | alone
    return st.sampled_from(_ODD)


def _mapping(model: type[BaseModel], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    hints = get_type_hints(model, include_extras=True)
    fields = {
        name: st.deferred(lambda hint=hints[attribute]: st.one_of([_value(hint)] * 4 + [st.sampled_from(_ODD)]))
        for attribute, names in _names(model).items()
        for name in names
    }
    fields |= {name: st.sampled_from(_ODD) for name in _UNKNOWN if name not in fields} | more
    some = st.lists(st.sampled_from(sorted(fields)), max_size=5, unique=True)
    return some.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names}))


_KIND = st.sampled_from([*KINDS, " Video ", "ARTICLE", "unknown", "", None])
_IDENTITY = st.sampled_from(
    [
        {},
        {"title": "T"},
        {"title": "T", "webUrl": "https://a.example/x"},
        {"name": "N", "sourceUrl": "https://a.example/y"},
    ]
)


def _with(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**more, **base}


ARTICLES = st.builds(
    _with,
    _IDENTITY,
    st.one_of(
        _mapping(Article, type=_KIND, sponsor=st.sampled_from([{"name": "S"}, {"name": ""}, {}, "S"])),
        *(_mapping(kind, type=st.just(name)) for name, kind in KINDS.items() if kind.own),
    ),
)
_DOMAINS = st.sampled_from(
    ["a.example", "www.a.example", "https://a.example/x", "nowhere", "", "127.0.0.1", "a.example:80", ["a.example"], 5]
)
ORGANIZATIONS = st.builds(
    _with,
    st.sampled_from(
        [{"taxonomy": "organization", "name": "N"}, {"taxonomy": " Provider "}, {"taxonomy": "organization"}]
    ),
    _mapping(Organization, domain=_DOMAINS, _id=_DOMAINS),
)
TOPICS = st.builds(
    _with,
    st.sampled_from([{"taxonomy": "topic", "name": "N"}, {"taxonomy": "TERM", "name": "N"}, {"taxonomy": "topic"}]),
    _mapping(Topic),
)


def as_document(fields: dict[str, Any]) -> bytes:
    """Return a document with this front matter. JSON is YAML too, and its escapes need no raw control characters."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}\n" for name, value in fields.items()]
    return "".join(["---\n", *lines, "---\n"]).encode()
