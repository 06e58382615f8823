"""Compare what the front matter of a document holds with what was kept of it: no value may vanish without a word."""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Iterator

import yaml

from schemas.text.times import parse_time
from schemas.values import read_boolean, read_integer
from worker.documents.front_matter import FrontMatter, split
from worker.documents.validation import Reading
from worker.enrichment.enricher import enrich
from worker.enrichment.reference_documents import edit_reference

_NOT_LETTER = re.compile(r"[\W_]+")


def lost_values(raw: bytes, reading: Reading) -> list[tuple[str, str]]:
    """Return each value of an accepted document (its path and text) that is neither kept nor named by a problem.

    The text is parsed here by PyYAML's own loader, so that this does not share a mistake with the product.
    """
    matter = split(raw)
    assert isinstance(matter, FrontMatter)
    assert not reading.rejected
    kept = _letters(_everything(reading))
    named = {problem.field for problem in reading.problems}
    return [
        (path, text)
        for path, text in _values(yaml.load(matter.text, yaml.CBaseLoader), "")
        if not any(_letters(form) in kept for form in _forms(text))
        and not any(path == field or path.startswith(f"{field}") for field in named if field)
    ]


def _everything(reading: Reading) -> str:
    """Return the whole result as text: the article as read, and as it is enriched for the store."""
    subject = reading.article or reading.reference
    assert subject is not None
    parts = [subject.model_dump(mode="json", by_alias=True)]
    if reading.article is not None:
        enriched = enrich(reading.article, reading.body, source="s", key="k")
        parts.append(json.loads(enriched.form))
    elif (reference := edit_reference(reading.reference)) is not None:
        parts.append(json.loads(reference.form))
    return " ".join(str(text) for part in parts for _, text in _values(part, ""))


def _values(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _values(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _values(one, f"{path}[{index}]")
    elif value is not None and str(value).strip():
        yield path, str(value)


def _forms(text: str) -> Iterator[str]:
    """Yield the text, and the forms in which a typed field keeps it: a time in UTC, a boolean, a number."""
    yield text
    with contextlib.suppress(ValueError, OverflowError):
        yield parse_time(text, range(1900, 2101)).moment.replace(tzinfo=None).isoformat()
    with contextlib.suppress(ValueError):
        yield str(read_boolean(text))
    with contextlib.suppress(ValueError):
        yield str(read_integer(text))


def _letters(text: str) -> str:
    """Return the text without what cleaning and dates may change: references, marks, white space and case."""
    return _NOT_LETTER.sub("", html.unescape(html.unescape(text))).casefold()
