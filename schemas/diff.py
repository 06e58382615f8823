"""What a change of a JSON Schema breaks, and for whom.

A form that producers write (the article) breaks its *producers* when it takes less than before. A form that Copydesk
writes (receipts, problems, results) breaks its *consumers* when it may say what it never said, or no longer says what it
always did. Added fields break nobody: everyone passes over fields that they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Schema = Mapping[str, Any]

PRODUCED_OUTSIDE = frozenset({"article"})
"""Forms that producers write; the others are written here, for consumers."""

_LOWER_IS_NARROWER = ("maximum", "maxLength", "maxItems")
_HIGHER_IS_NARROWER = ("minimum", "minLength", "minItems")


@dataclass(frozen=True, slots=True)
class Change:
    """A difference at `path` (`related[].webUrl`). `breaks`: "producers", "consumers", or None where it breaks nobody."""

    form: str
    path: str
    what: str
    breaks: str | None


def compare(form: str, old: Schema, new: Schema) -> list[Change]:
    """What differs between two schemas of a form, as its users see it."""
    victim, harmful = ("producers", Kind.LESS) if form in PRODUCED_OUTSIDE else ("consumers", Kind.MORE)
    return [
        Change(form, path or "(the whole)", what, victim if kind in (harmful, Kind.OTHER) else None)
        for path, what, kind in _differences(old, new, old, new, "", frozenset())
    ]


class Kind(Enum):
    """What the new schema allows: less than the old, more, something else, or a field that was not there."""

    LESS = 1
    MORE = 2
    OTHER = 3
    FIELD = 4


Difference = tuple[str, str, Kind]


def _differences(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, seen: frozenset[tuple[str, str]]
) -> Iterator[Difference]:
    pair = (str(old.get("$ref")), str(new.get("$ref")))
    if "None" not in pair:
        if pair in seen:
            return
        seen |= {pair}
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    had, has = _alternatives(old, old_root), _alternatives(new, new_root)
    for kind in sorted(had.keys() - has.keys()):
        yield path, f"no longer {kind}", Kind.LESS
    for kind in sorted(has.keys() - had.keys()):
        yield path, f"may now be {kind}", Kind.MORE
    for kind in sorted(had.keys() & has.keys()):
        yield from _bounds(had[kind], has[kind], path)
        if kind == "array":
            yield from _differences(
                had[kind].get("items", {}), has[kind].get("items", {}), old_root, new_root, f"{path}[]", seen
            )
        if kind == "object":
            yield from _fields(had[kind], has[kind], old_root, new_root, path, seen)


def _fields(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, seen: frozenset[tuple[str, str]]
) -> Iterator[Difference]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield _join(path, name), "the field is gone", Kind.OTHER
    for name in sorted(after.keys() - before.keys()):
        yield _join(path, name), "a new field", Kind.FIELD
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(needs - needed):
        yield _join(path, name), "is now needed", Kind.LESS
    for name in sorted((needed - needs) & after.keys()):
        yield _join(path, name), "may now be missing", Kind.MORE
    closed = new.get("additionalProperties") is False
    if old.get("additionalProperties", True) != new.get("additionalProperties", True):
        yield path, "fields that are not named are treated otherwise", Kind.LESS if closed else Kind.MORE
    for name in sorted(before.keys() & after.keys()):
        yield from _differences(before[name], after[name], old_root, new_root, _join(path, name), seen)


def _bounds(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    for names, sign in ((_LOWER_IS_NARROWER, 1), (_HIGHER_IS_NARROWER, -1)):
        for name in names:
            was, now = old.get(name), new.get(name)
            if was != now:
                narrower = now is not None and (was is None or (now - was) * sign < 0)
                yield path, f"{name} was {was}, is {now}", Kind.LESS if narrower else Kind.MORE
    allowed, allows = _values(old), _values(new)
    if allowed != allows:
        if allowed is None or (allows is not None and allowed - allows):
            gone = sorted(allowed - (allows or frozenset())) if allowed is not None else "any other value"
            yield path, f"no longer allowed: {_list(gone)}", Kind.LESS
        if allows is None or (allowed is not None and allows - allowed):
            come = sorted(allows - (allowed or frozenset())) if allows is not None else "any other value"
            yield path, f"now possible: {_list(come)}", Kind.MORE
    for name in ("pattern", "format"):
        if old.get(name) != new.get(name):
            yield (
                path,
                f"another {name}",
                Kind.LESS if name not in old else Kind.MORE if name not in new else Kind.OTHER,
            )


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({str(schema["const"])})
    return frozenset(map(str, schema["enum"])) if "enum" in schema else None


def _list(values: list[str] | str) -> str:
    return values if isinstance(values, str) else ", ".join(values)


def _alternatives(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The types that a value may have, each with its own part of the schema."""
    found: dict[str, Schema] = {}
    for part in schema.get("anyOf", [schema]):
        resolved = _resolve(part, root)
        kinds = resolved.get("type", "object" if "properties" in resolved else "anything")
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            already = found.get(kind)
            found[kind] = resolved if already is None else _either(already, resolved)
    return found


def _either(one: Schema, other: Schema) -> Schema:
    """Two alternatives of one type: what both allow, as far as values are listed."""
    first, second = _values(one), _values(other)
    if first is None or second is None:
        return one if first is None else other
    return {**one, "enum": sorted(first | second)}


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        found: Schema = root.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], {})
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
