"""Rewrite surrogate pairs in double quotes: JSON writes `\\ud83d\\ude00` for what YAML writes as `\\U0001f600`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # missing in the stubs

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_STAND_IN = r"\u0020"  # as long, and valid in double quotes
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.S,
)


def is_bad_escape(error: yaml.YAMLError) -> bool:
    """Return whether surrogates may have caused an error of the parser."""
    return isinstance(error, yaml.MarkedYAMLError) and "Unicode character escape" in str(error.problem)


def join_surrogates(text: str, max_nodes: int) -> str:
    """Return the text with all values in double quotes rewritten, of the first `max_nodes` values and field names."""
    parts = []
    end = 0
    for start, after in _quoted(_SURROGATE.sub(lambda _: _STAND_IN, text), max_nodes):
        parts += [text[end:start], _ESCAPE.sub(_join_surrogates, text[start:after])]
        end = after
    return "".join((*parts, text[end:]))


def _quoted(text: str, max_nodes: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each scalar in double quotes, as far as the text is YAML."""
    get_event = CParser(text).get_event
    try:
        for _ in range(2 * max_nodes):  # a list or mapping has two events
            event = get_event()
            if isinstance(event, yaml.StreamEndEvent):
                return
            if isinstance(event, yaml.ScalarEvent) and event.style == '"':
                yield event.start_mark.index, event.end_mark.index  # type: ignore[union-attr]  # libyaml gives marks
    except yaml.YAMLError:
        return


def _join_surrogates(found: re.Match[str]) -> str:
    if found["high"]:
        return f"\\U{0x10000 + ((int(found['high'], 16) & 0x3FF) << 10) + (int(found['low'], 16) & 0x3FF):08x}"
    if found["lone"]:
        return r"\u0000"  # `clean_text` removes it, with a warning
    return found[0]
