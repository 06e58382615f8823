"""Turn the bytes of a document into an article and its problems. The worker and the command `check` both use `read`.

A valid document is validated once. An invalid optional part is dropped with a warning at its line, and the rest is
validated again, so that one wrong date does not reject the article.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.article import PRIMARY_URLS, RELATED_URLS, Article
from schemas.kinds import is_known, kind_of, model_of
from schemas.problem import CODES, Problem, Severity, excerpt, problem
from schemas.references import REFERENCES, Organization, Reference, Topic, is_domain, is_reference, reference_model
from schemas.values import Assumption, Context
from worker.documents.characters import clean_text
from worker.documents.entry_cache import CacheMiss, parse_known, remember
from worker.documents.field_names import note_field_names
from worker.documents.front_matter import (
    FrontMatter,
    digest_without,
    place_of_secured,
    secured_line,
    split,
    without_secured,
)
from worker.documents.limits import DEFAULT, Limits
from worker.documents.normalisation import prepare
from worker.documents.positions import Places
from worker.documents.unknown_fields import convert_unknown_fields
from worker.documents.yaml.builder import Parsed
from worker.documents.yaml.nodes import (
    MappingNode,
    Path,
    SequenceNode,
    children,
    find,
    locate,
    original_path,
    path_text,
)

_ROUNDS = 8  # validations of one document; each drops all invalid parts, and no known document needs more than two
_MANY = 5_000  # problems that are collected; far fewer are reported
# Nested parts that can contain values read with an assumption.
_KNOWN_PARTS = frozenset({"images", "related", "provider", "topics", "levels", "keywords", "hashtags", "otherNames"})
_NULL = re.compile(r"""["']?[\w.-]+["']?[ \t]*:[ \t]+(null|Null|NULL|~)(?=\s|$)""")
_Model = TypeVar("_Model", bound=BaseModel)
_SHAPES: dict[str, tuple[str, str | None]] = {
    "model_type": ("Named fields belong here.", "a mapping"),
    "model_attributes_type": ("Named fields belong here.", "a mapping"),
    "list_type": ("A list belongs here.", "a list"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a document: an article or a reference document, its body and its problems.

    The document is rejected if both `article` and `reference` are None. `fingerprint` is None if the parser did not
    confirm it (see `front_matter.fingerprint`).
    """

    article: Article | None
    body: str
    problems: tuple[Problem, ...]
    fingerprint: bytes | None
    reference: Organization | Topic | None = None

    @property
    def rejected(self) -> bool:
        """Whether the document is rejected because of an error."""
        return self.article is None and self.reference is None


def read(raw: bytes, *, has_key: bool, limits: Limits = DEFAULT, fingerprint: bytes | None = None) -> Reading:
    """Parse and validate a document.

    `has_key`: the producer sent a key with it, so it needs no URL. `fingerprint`: the fingerprint of `raw` if it is
    already computed; it still has to be confirmed.
    """
    matter = split(raw, limits)
    if isinstance(matter, Problem):
        return Reading(None, "", (matter,), None)
    parsed, misses = parse_known(matter.text, matter.first_line, limits)
    body = _clean_body(matter, parsed.problems) if matter.body else ""
    if parsed.tree is None:
        return Reading(None, body, _ordered(parsed.problems, matter, limits), None)
    reader = _Reader(parsed.tree, parsed, limits, misses)
    note_field_names(parsed.tree, parsed.unknown_names, reader.note)
    article, reference = None, None
    if is_reference(parsed.tree):
        reference = reader.reference()
    else:
        article = reader.article(has_key=has_key)
    problems = _ordered(parsed.problems, matter, limits) if parsed.problems else ()
    if (article is None and reference is None) or any(found.severity is Severity.ERROR for found in problems):
        return Reading(None, body, problems, None)
    return Reading(article, body, problems, _confirmed_fingerprint(raw, parsed.secured_place, fingerprint), reference)


def _clean_body(matter: FrontMatter, problems: list[Problem]) -> str:
    """Return the body without characters that no store can hold. Add one warning at the first of them."""
    body, removed, index = clean_text(matter.body)
    if removed:
        line, column = Places(matter.body, matter.body_line).of_index(index)
        message = f"{removed} character{'s' if removed > 1 else ''} of the body removed: control characters, or too many accents."
        problems.append(problem("text_cleaned", message, line=line, column=column))
    return body


def _confirmed_fingerprint(
    raw: bytes, secured_place: tuple[int, int] | None, fingerprint: bytes | None
) -> bytes | None:
    """Return the fingerprint if the bytes that it omits are the parsed value of `secured`, else None."""
    span = secured_line(raw)
    if span is not None and place_of_secured(raw, span) != secured_place:
        return None
    return fingerprint or digest_without(raw, span)


def _ordered(problems: list[Problem], matter: FrontMatter, limits: Limits) -> tuple[Problem, ...]:
    """Return the problems sorted by position, without secrets. If there are too many, warnings are left out before errors."""
    remaining = problems = without_secured(problems, matter)
    if len(problems) > limits.max_problems:
        remaining = sorted(problems, key=lambda found: found.severity is not Severity.ERROR)[: limits.max_problems - 1]
        more = len(problems) - len(remaining)
        remaining.append(problem("too_many_problems", f"{more:,} more problems are not listed."))
    return tuple(sorted(remaining, key=lambda found: (found.line or 1 << 40, found.column or 0)))


class _Reader:
    def __init__(self, tree: MappingNode, parsed: Parsed, limits: Limits, misses: list[CacheMiss]) -> None:
        self.tree = tree
        self.places = parsed.places
        self.problems = parsed.problems
        self.plain = parsed.plain
        self.has_blanks = parsed.has_blanks
        self.has_invisible = parsed.has_invisible
        self.limits = limits
        self.misses = misses
        self.urls_dropped: set[tuple[str | int, ...]] = set()  # `related` entries whose bad URL is already noted

    def article(self, *, has_key: bool) -> Article | None:
        """Validate the tree as an article and drop invalid parts. Then check that it has an identity and a title."""
        prepare(self.tree, self.note, self.limits, has_blanks=self.has_blanks, has_invisible=self.has_invisible)
        context = Context(max_url_bytes=self.limits.max_url_bytes)
        primary = next((name for name in PRIMARY_URLS if self.tree.get(name) is not None), None)
        model = model_of(self.tree)
        article = self.validated(model, context, primary)
        if context.notes:
            self.note_readings(context.notes)
        if article is None:
            return None
        if primary is None and not has_key:
            self.problems.append(problem("no_identity", line=1, column=1, expected=" or ".join(PRIMARY_URLS)))
        if not (article.title or "").strip() and not (article.name or "").strip():
            self.note_missing_title()
        self.note_related(article)
        kind = kind_of(article)
        if not is_known(kind):
            self.note("unknown_kind", ("type",), f"The type {excerpt(kind)} is unknown.")
        return article

    def note_missing_title(self) -> None:
        """Add the problem that the document has neither a title nor a name, at the empty one if there is one."""
        name = next((name for name in ("title", "name") if name in self.tree.marks), None)
        mark = self.tree.marks[name] if name else None
        line, column = self.places.of_mark(mark) if mark else (1, 1)
        null = _NULL.match(self.places.text, mark.index) if mark else None
        message = f"In YAML the word {null[1]} without quotes means that there is no value." if null else None
        expected = f'"{null[1]}", if it is the title' if null else "text"
        self.problems.append(problem("no_title", message, field="title", line=line, column=column, expected=expected))

    def reference(self) -> Organization | Topic | None:
        """Validate the tree as a reference document. Then check that it has a name, and an organisation a domain."""
        model = reference_model(self.tree)
        if model is None:
            self.note("reference_document", ("taxonomy",), expected=", ".join(REFERENCES))
            return None
        prepare(self.tree, self.note, self.limits, has_blanks=self.has_blanks, has_invisible=self.has_invisible)
        context = Context(max_url_bytes=self.limits.max_url_bytes)
        found = self.validated(model, context, None)
        if context.notes:
            self.note_readings(context.notes)
        if found is not None and not (found.name or "").strip():
            self.problems.append(problem("no_title", field="name", line=1, column=1, expected="text"))
        if isinstance(found, Organization) and not any(map(is_domain, (found.domain or "", found.id or ""))):
            self.problems.append(problem("no_identity", field="domain", line=1, column=1, expected="domain"))
        return found

    def validated(self, model: type[_Model], context: Context, primary: str | None) -> _Model | None:
        for _ in range(_ROUNDS):
            context.notes.clear()
            try:
                found = model.model_validate(self.tree, context=context)
            except ValidationError as error:
                doomed: dict[int, tuple[SequenceNode, set[int]]] = {}
                for fault in error.errors(include_url=False, include_input=False):
                    self.drop(fault, primary, doomed)
                for items, numbers in doomed.values():
                    items.remove_at(numbers)
            else:
                self.finish(found, context)
                return found
        self.problems.append(problem("wrong_shape", "The fields could not be read.", line=1, column=1))
        return None

    def finish(self, found: BaseModel, context: Context) -> None:
        """Convert the unknown fields of a valid model, and cache its entries of `related` if it has no problem."""
        if isinstance(found, Article | Reference):
            convert_unknown_fields(found, self.tree, self.places.text, self.plain)
        if isinstance(found, Article) and not self.problems and not context.notes:
            remember(found.related, self.misses, self.limits)

    def drop(self, fault: ErrorDetails, primary: str | None, doomed: dict[int, tuple[SequenceNode, set[int]]]) -> None:
        """Add the problem of an invalid part and remove the part from the tree.

        Entries of lists are only collected in `doomed`, so that the indices of later faults stay valid.
        """
        path = tuple(fault["loc"])
        code, message = fault["type"], fault["msg"]
        expected = fault.get("ctx", {}).get("expected")
        if code == "missing":
            code, message, expected = "missing_part", f"The field {path[-1]} is missing.", str(path[-1])
            path = path[:-1]
        elif code not in CODES:
            message, expected = _SHAPES.get(code, ("This has not the shape of its field.", None))
            code = "wrong_shape"
        message, expected = self.explain_shape(code, path, message, expected)
        if len(path) == 1 and path[0] == primary and code in ("bad_url", "url_too_long", "wrong_shape"):
            code = "bad_primary_url"
        if path[-1] in RELATED_URLS and len(path) == 3:
            self.urls_dropped.add(path[:2])
        self.note(code, path, f"{message[:1].upper()}{message[1:]}".rstrip(".") + ".", expected=expected)
        if len(path) > 2 and path[-1] == "url" and path[-3] == "images":
            path = path[:-1]  # an image without its URL is dropped as a whole
        parent = find(self.tree, path[:-1])
        step = path[-1]
        if isinstance(parent, MappingNode) and isinstance(step, str):
            parent.pop(step, None)
        elif isinstance(parent, SequenceNode) and isinstance(step, int):
            doomed.setdefault(id(parent), (parent, set()))[1].add(step)

    def explain_shape(self, code: str, path: Path, message: str, expected: str | None) -> tuple[str, str | None]:
        """Return the message and what is expected for a value of another shape. `- Ferries: the basics` is a mapping."""
        value = find(self.tree, path)
        if code == "wrong_shape" and isinstance(value, MappingNode) and len(value) == 1 and expected == "text":
            name = excerpt(next(iter(value)))
            return (
                f"The colon after {name} makes this a field with a value. Put the whole text in quotes",
                "text in quotes",
            )
        return message, expected

    def note(
        self, code: str, path: tuple[str | int, ...], message: str | None = None, *, expected: str | None = None
    ) -> None:
        """Add a problem with the value at `path`."""
        if len(self.problems) > _MANY:
            return
        value = find(self.tree, path)
        line, column = locate(self.tree, path, self.places)
        shown = value if isinstance(value, str) else None
        field = path_text(original_path(self.tree, path))
        self.problems.append(
            problem(code, message, field=field, line=line, column=column, expected=expected, value=shown)
        )

    def note_readings(self, notes: list[Assumption]) -> None:
        """Add a warning for each value that was read with an assumption. Values are found by identity, not equality."""
        assumptions = {id(assumption.value): assumption for assumption in notes}
        waiting: list[tuple[Path, MappingNode | SequenceNode]] = [((), self.tree)]
        while waiting:
            path, node = waiting.pop()
            for step, value in children(node):
                if isinstance(value, MappingNode | SequenceNode):
                    if path or step in _KNOWN_PARTS:
                        waiting.append(((*path, step), value))
                elif (assumption := assumptions.get(id(value))) is not None:
                    self.note(assumption.code, (*path, step), assumption.message)

    def note_related(self, article: Article) -> None:
        """Warn about entries of `related` without a URL, because they cannot be linked to an article."""
        for index, entry in enumerate(article.related):
            if not entry.has_url and ("related", index) not in self.urls_dropped:
                self.note("related_without_url", ("related", index), expected=" or ".join(PRIMARY_URLS))
