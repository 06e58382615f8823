"""Turns a YAML parser's complaint into the mistake that a person made."""

from __future__ import annotations

import re

from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from schemas.problem import Problem, problem
from worker.document.places import Places

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEY_BEFORE = re.compile(r"[ \t]*(?:- +)*[^\s:#'\"\[{][^:]*:[ \t]+\S")
_FIELD_OPENS_QUOTE = re.compile(r"""[ \t]*(?:- +)*[\w-]+:[ \t]*["']""")


def diagnose(error: YAMLError, text: str, places: Places) -> Problem:
    """Name the mistake behind `error`, at the place where a person would mend it."""
    if isinstance(error, ReaderError):
        found = _CONTROL.search(text)
        line, column = places.of_index(found.start() if found else 0)
        shown = f" (U+{ord(found[0]):04X})" if found else ""
        message = f"There is a raw control character{shown} here."
        return problem("yaml_control_character", message, line=line, column=column, expected="text")
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return problem("yaml_syntax", "The front matter is not valid YAML.", line=places.first_line, column=1)
    index, start = error.problem_mark.index, error.context_mark.index if error.context_mark else None
    code, message, index = _mistake(str(error.problem), error.context or "", text, index, start)
    line, column = places.of_index(min(index, len(text)))
    return problem(code, message, line=line, column=column)


def _mistake(what: str, doing: str, text: str, index: int, start: int | None) -> tuple[str, str, int]:
    """Return the code, the sentence and the place in `text`; `start` is where the parser's construct began."""
    line_start = text.rfind("\n", 0, index) + 1
    before = text[line_start:index]
    if "tab" in what or text[index : index + 1] == "\t" or (not before.strip() and "\t" in before):
        return "yaml_tab", "This line is indented with a tab; YAML wants spaces.", index
    if what.startswith("mapping values are not allowed"):
        if _KEY_BEFORE.match(before):
            return "yaml_unquoted_colon", "A colon stands inside a value without quotes.", index
        return "yaml_indentation", "This line is indented further than the field that it follows.", index
    if "quoted scalar" in doing and start is not None:
        if "escape" in what or "hexdecimal" in what:
            return "yaml_escape", "This backslash begins no escape that YAML knows.", index
        return "yaml_unclosed_quote", "The quote that opens here is never closed.", start
    if "simple key" in doing and start is not None:
        return "yaml_missing_colon", "This line is no field: there is no colon after a name.", start
    if "flow" in doing and start is not None:
        return "yaml_unclosed_bracket", "The bracket that opens here is not closed as it should be.", start
    special = "cannot start any token", "expected alphabetic or numeric", "comment or line break", "node content"
    if any(words in what for words in special) or "entries are not allowed" in what:
        place = start if start is not None and text[start : start + 1] in "*&|>" and text[start : start + 1] else index
        shown = text[place : place + 1]
        return "yaml_special_character", f"A value cannot begin with {shown} without quotes.", place
    if "tag" in what or "tag" in doing:
        return "yaml_tag", "This begins a tag, which no field here needs.", start if start is not None else index
    return _after_value(before, index)


def _after_value(before: str, index: int) -> tuple[str, str, int]:
    """Judge by what stands before the place on its line, where a field's name should have come."""
    last = before.rstrip()[-1:]
    if _FIELD_OPENS_QUOTE.fullmatch(before.rstrip()):
        message = "A quote on a line above is closed only by the quote that should open this value."
        return "yaml_unclosed_quote", message, index
    if last in ('"', "'") and last:
        return "yaml_inner_quotes", "Text goes on after the quote that closes the value.", index
    if last in ("]", "}") and last:
        return "yaml_text_after_bracket", "Text goes on after the bracket that closes the value.", index
    if not before.strip(" -"):
        return "yaml_indentation", "This line's indentation fits no field above it.", index
    return "yaml_syntax", "YAML cannot make sense of what stands here.", index
