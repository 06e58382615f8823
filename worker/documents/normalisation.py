"""Normalise the fields of a document before validation: empty values, older field names, single values and lists."""

from __future__ import annotations

from typing import Protocol

from schemas.article import GENERATIONS
from worker.documents.limits import Limits
from worker.documents.yaml.nodes import MappingNode, Path, SequenceNode

_LISTS = ("topics", "images", "related")
_OTHER_LISTS = ("levels", "items", "keywords", "hashtags", "otherNames")
_OTHER_LISTS_SET = frozenset(_OTHER_LISTS)
_OPTIONAL = frozenset({
    "title", "excerpt", "abstract", "publishedDateTime", "updatedDateTime", "webUrl", "sourceUrl", "originalUrl",
    "ampWebUrl", "ampUrl", "cdnAmpWebUrl", "cdnAmpUrl", "type", "quality", "score", "provider", "images", "name",
    "category", "heat", "published", "locale", "topics", "related", "secured",
    "length", "price", "levels", "ratings", "startDateTime", "endDateTime", "items", "members", "github", "location",
    "yearFounded", "overview", "bio", "query",
    "_id", "domain", "description", "otherNames", "parent", "keywords", "hashtags",
})  # fmt: skip
_RELATED_OPTIONAL = _OPTIONAL | {"url"}
# Fields for which a list of one value is accepted. URLs are excluded, because the identity of an article is never
# guessed; `secured` is excluded, because it is never inspected.
_SINGLE = frozenset(
    name for name in _OPTIONAL.difference(_LISTS, _OTHER_LISTS, {"secured"}) if not name.endswith("Url")
)
_PART_OPTIONAL = {
    "ratings": frozenset({"average", "count"}),
    "github": frozenset({"url", "stars", "forks", "watches", "license"}),
}
_PROVIDER_OPTIONAL = frozenset({"name", "domain", "id"})
_IMAGE_OPTIONAL = frozenset({"width", "height", "isCached", "title"})


class Note(Protocol):
    """A function that adds a problem with the value at a path."""

    def __call__(self, code: str, path: Path, message: str | None = None, *, expected: str | None = None) -> None: ...


def prepare(tree: MappingNode, note: Note, limits: Limits, *, has_blanks: bool = True) -> None:
    """Normalise a document and its entries of `related`, in place. `has_blanks=False` says that no value is empty."""
    if has_blanks:
        _drop_all_blanks(tree)
    _prepare_told(tree, (), note, limits)
    if not _OTHER_LISTS_SET.isdisjoint(tree):
        _prepare_lists(tree, _OTHER_LISTS, (), note, limits)
    for index, entry in enumerate(tree.get("related") or ()):
        if isinstance(entry, MappingNode):
            _prepare_told(entry, ("related", index), note, limits)
    sponsor = tree.get("sponsor")
    if isinstance(sponsor, MappingNode) and "title" not in tree and "name" not in tree:
        name = sponsor.get("name")
        if isinstance(name, str):
            tree["name"] = name
            tree.marks["name"] = sponsor.marks["name"]


def _prepare_told(node: MappingNode, path: Path, note: Note, limits: Limits) -> None:
    """Normalise an article or an entry of `related`: one name a field, single values, lists, images as mappings."""
    _take_only_values(node, path, note)
    for newer, older in GENERATIONS:
        if older in node and newer in node and node[older] == node[newer]:
            del node[older]  # given under both names with the same value
    _prepare_lists(node, _LISTS, path, note, limits)
    images = node.get("images")
    if images:
        _prepare_images(images)


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
        for nested in _mappings(tree.get(part)):
            _drop_blanks(nested, fields)
    related = _mappings(tree.get("related"))
    _drop_blanks(tree, _OPTIONAL)
    for entry in related:
        _drop_blanks(entry, _RELATED_OPTIONAL)
    for present in (tree, *related):
        for provider in _mappings(present.get("provider")):
            _drop_blanks(provider, _PROVIDER_OPTIONAL)
        for image in _mappings(present.get("images")):
            _drop_blanks(image, _IMAGE_OPTIONAL)


def _mappings(value: object) -> list[MappingNode]:
    """Return the mappings in a list, or the value itself if it is a mapping."""
    return [one for one in (value if isinstance(value, SequenceNode) else [value]) if isinstance(one, MappingNode)]


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


def _listed(node: MappingNode, name: str, path: Path, note: Note) -> SequenceNode:
    """Replace a single value by a list of one, and return the list. Warn about it (`single_value`)."""
    note("single_value", path, expected="a list")
    items = SequenceNode()
    items.append(node[name])
    items.marks.append(node.marks[name])
    node[name] = items
    return items


def _prepare_images(images: SequenceNode) -> None:
    """Replace each image that is only a URL by a mapping with that `url`, in place."""
    for index, image in enumerate(images):
        if isinstance(image, str):
            full = MappingNode()
            full["url"] = image
            full.marks["url"] = images.marks[index]
            images[index] = full


__all__ = ["Note", "prepare"]
