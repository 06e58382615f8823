"""Find comments that cut a value: in `title: PR #12 brings a ferry` YAML reads all from `#` on as a comment.

A comment that stands apart from the text is meant as one: `type: video # the kind`, `quality: 3   #rank`. It is not
reported. No comment in 6,000 real documents is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # missing in the stubs

from schemas.problem import excerpt
from worker.documents.positions import Mark
from worker.documents.yaml.nodes import MappingNode, path_text, walk

# A line that may contain a comment after a value without quotes. Nearly all other lines with ` #` begin with a quote.
_CANDIDATE = re.compile(r"""^(?![ \t]*+(?:-[ \t]++)*+(?:[\w.-]++:[ \t]++)?+["'])[^\n]*?[ \t]#""", re.M)
_CUT = re.compile(r"(?P<space>[ \t]+)(?P<comment>#(?P<text>(?=[^\s#!]| ?[0-9])[^\r\n]*))")
_NEXT_LINE = re.compile(r"[ \t]*(?:\r\n|\n|\r)(?P<space>[ \t]+)(?P<comment>#(?P<text>(?=[^\s#!])[^\r\n]*))")
_MAX_CUTS = 100  # comments reported of one document
_LEFT_OUT_FIELD = re.compile(r"(?:-|[\w.-]+:)(?:\s|$)")


class NoteAt(Protocol):
    """A function that adds a problem at an index of the text."""

    def __call__(self, code: str, index: int, message: str, *, field: str | None) -> None: ...


def note_comments(text: str, tree: MappingNode, note: NoteAt) -> None:
    """Add a warning for each comment that cuts a value of `tree`, which is parsed from `text`."""
    if (" #" not in text and "\t#" not in text) or _CANDIDATE.search(text) is None:
        return
    cuts = list(islice(_cuts(text), _MAX_CUTS))
    if not cuts:
        return
    fields: dict[int, str] = {}
    for node, path, step, _ in walk(tree):
        fields.setdefault(node.marks[step].index, path_text((*path, step)))  # type: ignore[index]  # the node's own step
    for start, key, comment in cuts:
        message = f"A comment begins here and cuts the value: “{excerpt(comment['comment'])}” is no part of it."
        note("comment_cuts_value", comment.start("comment"), message, field=fields.get(start, fields.get(key)))


def _cuts(text: str) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Yield each comment that cuts a plain value, after the indices of the value and of the scalar before it."""
    get_event = CParser(text).get_event
    key: Mark | None = None
    while not isinstance(event := get_event(), yaml.StreamEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            continue
        mark: Mark = event.start_mark  # type: ignore[assignment]  # libyaml gives each event its marks
        end: int = event.end_mark.index  # type: ignore[union-attr]  # as above
        if not event.style and text[end : end + 1] != ":":
            comment = _CUT.match(text, end)
            if comment is None or not _cuts_value(comment, event.value):
                comment = _NEXT_LINE.match(text, end) if event.value else None
                comment = comment if comment is not None and _continues(comment, key, mark) else None
            if comment is not None:
                yield mark.index, key.index if key is not None else mark.index, comment
        key = mark


def _cuts_value(comment: re.Match[str], value: str) -> bool:
    """Return whether a comment on the line of its value does not stand apart from it."""
    text = comment["text"]
    if text[0] == " ":  # `Weekly digest # 5`, but not `quality: 3 # 5 is the best`
        return any(map(str.isalpha, value))
    return len(comment["space"]) == 1 or text[0].isdigit()


def _continues(comment: re.Match[str], key: Mark | None, mark: Mark) -> bool:
    """Return whether a comment on the line below a value is indented as the value's next line would be."""
    if _LEFT_OUT_FIELD.match(comment["text"]):
        return False
    outer = key.column if key is not None and key.line == mark.line else mark.column - 1
    return len(comment["space"]) > outer


__all__ = ["note_comments"]
