"""Rewrite surrogate pairs in double quotes: JSON writes `\\ud83d\\ude00` for what YAML writes as `\\U0001f600`."""

from __future__ import annotations

import re

from yaml import MarkedYAMLError, YAMLError

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+', re.S)
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.S,
)


def join_surrogates(text: str, error: YAMLError) -> str | None:
    """Return the text with the quoted value of `error` rewritten, or None if surrogates did not cause the error."""
    if not isinstance(error, MarkedYAMLError) or "Unicode character escape" not in str(error.problem):
        return None
    if error.context_mark is None:
        return None
    quoted = _QUOTED.match(text, error.context_mark.index)
    if quoted is None:
        return None
    mended = _ESCAPE.sub(_join_surrogates, quoted[0])
    return None if mended == quoted[0] else text[: quoted.start()] + mended + text[quoted.end() :]


def _join_surrogates(found: re.Match[str]) -> str:
    if found["high"]:
        return f"\\U{0x10000 + ((int(found['high'], 16) & 0x3FF) << 10) + (int(found['low'], 16) & 0x3FF):08x}"
    if found["lone"]:
        return r"\u0000"  # `clean_text` removes it, with a warning
    return found[0]
