"""Normalise the fields of a document before validation: empty values, older field names, single values and lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from schemas.article import GENERATIONS, Image, Provider
from schemas.known_names import DOCUMENT_NAMES, PARTS, names_of
from schemas.text.invisible_characters import SHORT_TEXTS, clean_label
from worker.documents.limits import Limits
from worker.documents.yaml.nodes import MappingNode, Path, SequenceNode

_LISTS = ("topics", "images", "related")
_OTHER_LISTS = ("levels", "items", "keywords", "hashtags", "otherNames")
_OTHER_LISTS_SET = frozenset(_OTHER_LISTS)
_LABELS = frozenset({"topics", "levels", "keywords", "hashtags"})  # lists of words, which are often written with commas
_OPTIONAL = DOCUMENT_NAMES - {"taxonomy"}
_RELATED_OPTIONAL = _OPTIONAL | {"url"}
# Fields for which a list of one value is accepted. URLs are excluded, because the identity of an article is never
# guessed; `secured` is excluded, because it is never inspected.
_SINGLE = frozenset(
    name for name in _OPTIONAL.difference(_LISTS, _OTHER_LISTS, {"secured"}) if not name.endswith("Url")
)
_PART_OPTIONAL = {name: names_of(PARTS[name]) for name in ("ratings", "github")}
_PROVIDER_OPTIONAL = names_of(Provider)
_IMAGE_OPTIONAL = names_of(Image) - {"url"}


class Note(Protocol):
    """A function that adds a problem with the value at a path."""

    def __call__(self, code: str, path: Path, message: str | None = None, *, expected: str | None = None) -> None: ...


def prepare(
    tree: MappingNode, note: Note, limits: Limits, *, has_blanks: bool = True, has_invisible: bool = True
) -> None:
    """Normalise a document and its entries of `related`, in place.

    `has_blanks=False` says that no value is empty, and `has_invisible=False` that none has invisible characters.
    """
    if has_blanks:
        _drop_all_blanks(tree)
    if has_invisible:
        _clean_labels(tree, note)
    _prepare_article(tree, (), note, limits)
    if not _OTHER_LISTS_SET.isdisjoint(tree):
        _prepare_lists(tree, _OTHER_LISTS, (), note, limits)
    related = tree.get("related") or SequenceNode()
    _wrap_urls(related, "webUrl", is_any_text=False)
    for index, entry in enumerate(related):
        if isinstance(entry, MappingNode):
            _prepare_article(entry, ("related", index), note, limits)
    sponsor = tree.get("sponsor")
    if isinstance(sponsor, MappingNode) and "title" not in tree and "name" not in tree:
        name = sponsor.get("name")
        if isinstance(name, str):
            tree["name"] = name
            tree.marks["name"] = sponsor.marks["name"]


def _prepare_article(node: MappingNode, path: Path, note: Note, limits: Limits) -> None:
    """Normalise an article or an entry of `related`: one name a field, single values, lists, bare URLs as mappings."""
    _take_only_values(node, path, note)
    for newer, older in GENERATIONS:
        if older in node and newer in node and node[older] == node[newer]:
            del node[older]  # given under both names with the same value
    _prepare_lists(node, _LISTS, path, note, limits)
    images = node.get("images")
    if images:
        _wrap_urls(images, "url", is_any_text=True)


def _prepare_lists(node: MappingNode, names: tuple[str, ...], path: Path, note: Note, limits: Limits) -> None:
    for name in names:
        value = node.get(name)
        if value is None:
            continue
        if not isinstance(value, SequenceNode):
            value = _listed(node, name, (*path, name), note)
        if None in value or "" in value:
            value.remove_at({index for index, item in enumerate(value) if item is None or item == ""})
        if len(value) > limits.max_items:
            message = f"The list has {len(value):,} entries; the first {limits.max_items:,} are kept."
            note("too_many_items", (*path, name), message, expected=f"at most {limits.max_items:,} entries")
            value.remove_at(set(range(limits.max_items, len(value))))


def _drop_all_blanks(tree: MappingNode) -> None:
    """Drop empty optional fields of the document, its entries of `related` and their parts: empty means missing."""
    for part, fields in _PART_OPTIONAL.items():
        for _, nested in mappings(tree.get(part)):
            _drop_blanks(nested, fields)
    related = [entry for _, entry in mappings(tree.get("related"))]
    _drop_blanks(tree, _OPTIONAL)
    for entry in related:
        _drop_blanks(entry, _RELATED_OPTIONAL)
    for present in (tree, *related):
        for _, provider in mappings(present.get("provider")):
            _drop_blanks(provider, _PROVIDER_OPTIONAL)
        for _, image in mappings(present.get("images")):
            _drop_blanks(image, _IMAGE_OPTIONAL)


def mappings(value: object) -> Iterator[tuple[int | None, MappingNode]]:
    """Yield the mappings in a list with their indices, or the value itself (with None) if it is a mapping."""
    if isinstance(value, MappingNode):
        yield None, value
    elif isinstance(value, SequenceNode):
        for index, one in enumerate(value):
            if isinstance(one, MappingNode):
                yield index, one


def _drop_blanks(node: MappingNode, names: frozenset[str]) -> None:
    """Drop the empty fields among `names`. Other fields stay as written."""
    blank = [name for name, value in node.items() if (value is None or value == "") and name in names]
    for name in blank:
        del node[name]


def _take_only_values(node: MappingNode, path: Path, note: Note) -> None:
    """Replace a list of one value by that value in fields that hold a single value. Warn about each (`list_of_one`)."""
    listed = [name for name, value in node.items() if value.__class__ is SequenceNode and name in _SINGLE]
    for name in listed:
        value = node[name]
        if len(value) == 1 and value[0] not in (None, ""):
            note("list_of_one", (*path, name), expected="a single value")
            node.marks[name] = value.marks[0]
            node[name] = value[0]


def _clean_labels(tree: MappingNode, note: Note) -> None:
    """Remove invisible characters from titles and other short texts of the document, its entries and their parts."""
    entries = [(tree, ()), *((entry, _steps("related", index)) for index, entry in mappings(tree.get("related")))]
    for node, path in entries:
        _clean_fields(node, path, note)
        for name in ("provider", "images"):
            for index, part in mappings(node.get(name)):
                _clean_fields(part, (*path, *_steps(name, index)), note)


def _steps(name: str, index: int | None) -> Path:
    return (name,) if index is None else (name, index)


def _clean_fields(node: MappingNode, path: Path, note: Note) -> None:
    for name in SHORT_TEXTS & node.keys():
        value = node[name]
        if isinstance(value, str):
            node[name] = _clean_label(value, (*path, name), note)
        elif isinstance(value, SequenceNode):
            value[:] = [
                _clean_label(item, (*path, name, index), note) if isinstance(item, str) else item
                for index, item in enumerate(value)
            ]


def _clean_label(text: str, path: Path, note: Note) -> str:
    label = clean_label(text)
    removed = len(text) - len(label)
    if removed:
        note("text_cleaned", path, f"{removed} invisible character{'s' if removed > 1 else ''} removed.")
    return label


def _listed(node: MappingNode, name: str, path: Path, note: Note) -> SequenceNode:
    """Replace a single value by a list, and return the list. Warn about it (`single_value` or `comma_list`).

    A text with commas in a field for labels becomes a list of its parts, any other value a list of one.
    """
    value = node[name]
    parts = [value]
    if name in _LABELS and isinstance(value, str) and "," in value:
        parts = [part for part in map(str.strip, value.split(",")) if part]
    note("single_value" if len(parts) == 1 else "comma_list", path, expected="a list")
    items = SequenceNode()
    items.extend(parts)
    items.marks.extend([node.marks[name]] * len(parts))
    node[name] = items
    return items


def _wrap_urls(items: SequenceNode, member: str, *, is_any_text: bool) -> None:
    """Replace each entry that is only a URL by a mapping with that URL under the name `member`, in place.

    `is_any_text`: take any text for a URL. It is then checked as one.
    """
    for index, item in enumerate(items):
        if isinstance(item, str) and (is_any_text or item.strip()[:8].lower().startswith(("http://", "https://"))):
            full = MappingNode()
            full[member] = item
            full.marks[member] = items.marks[index]
            items[index] = full


__all__ = ["Note", "mappings", "prepare"]
