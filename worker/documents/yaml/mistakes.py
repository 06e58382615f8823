"""Translate an error of the YAML parser into the mistake that the author made."""

from __future__ import annotations

import re

from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from schemas.problem import Problem, problem
from worker.documents.positions import Places

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEY_BEFORE = re.compile(r"[ \t]*(?:- +)*[^\s:#'\"\[{][^:]*:[ \t]+\S")
_DIRECTIVE = re.compile(r"^%", re.M)
_LONG_NAME = re.compile(r"""[ \t]*(?:- +)*(?:"[^"]{1023,}"|'[^']{1023,}'|[^\s#'"][^:\n]{1023,}):(?:\s|$)""")
_FORBIDDEN_START = (
    "cannot start any token", "expected alphabetic or numeric", "comment or line break", "node content", "entries are not allowed",
)  # fmt: skip
"""Parts of the parser's messages about a character that a value cannot begin with."""
_OTHER_BREAKS = "\x85\u2028\u2029"
_FIELD_OPENS_QUOTE = re.compile(r"""[ \t]*(?:- +)*[\w-]+:[ \t]*["']""")


def diagnose(error: YAMLError, text: str, places: Places) -> Problem:
    """Return the mistake behind `error` as a problem, at the place where the author would correct it."""
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


Mistake = tuple[str, str, int]
"""The problem code, the message and the index in the text."""


def _mistake(what: str, doing: str, text: str, index: int, start: int | None) -> Mistake:
    """Return the mistake. `what` is the parser's error, `doing` its context, and `start` where that context began."""
    line_start = text.rfind("\n", 0, index) + 1
    before = text[line_start:index]
    if "tab" in what or text[index : index + 1] == "\t" or (not before.strip() and "\t" in before):
        return "yaml_tab", "This line is indented with a tab; YAML wants spaces.", index
    odd = _odd_character(text, start if start is not None and "simple key" in doing else index)
    if odd is not None:
        return odd
    if ("<document start>" in what or "directive" in doing) and (directive := _DIRECTIVE.search(text)):
        message = "A line that begins with % is a directive of YAML, which front matter has no room for."
        return "yaml_special_character", message, directive.start()
    if what.startswith("mapping values are not allowed"):
        return _unexpected_colon(text, line_start, before, index)
    found = _unfinished(what, doing, text, index, start) if start is not None else None
    return (
        found
        or _forbidden_start(what, doing, text, index, start)
        or _after_value(before, text[index : index + 1], index)
    )


def _unexpected_colon(text: str, line_start: int, before: str, index: int) -> Mistake:
    if _LONG_NAME.match(text, line_start):
        return _long_name(line_start)
    if _KEY_BEFORE.match(before):
        return "yaml_unquoted_colon", "A colon stands inside a value without quotes.", index
    return "yaml_indentation", "This line is indented further than the field that it follows.", index


def _unfinished(what: str, doing: str, text: str, index: int, start: int) -> Mistake | None:
    """Return the mistake of a quote, field name or bracket that began at `start` and does not end correctly."""
    if "quoted scalar" in doing:
        if "escape" in what or "hexdecimal" in what:
            return "yaml_escape", "This backslash begins no escape that YAML knows.", index
        return "yaml_unclosed_quote", "The quote that opens here is never closed.", start
    if "simple key" in doing:
        if _LONG_NAME.match(text, text.rfind("\n", 0, start) + 1):
            return _long_name(start)
        return "yaml_missing_colon", "This line is no field: there is no colon after a name.", start
    if "flow" in doing:
        return "yaml_unclosed_bracket", "The bracket that opens here is not closed as it should be.", start
    return None


def _forbidden_start(what: str, doing: str, text: str, index: int, start: int | None) -> Mistake | None:
    """Return the mistake of a value that begins with a reserved character or a tag."""
    if any(words in what for words in _FORBIDDEN_START):
        place = start if start is not None and text[start : start + 1] in "*&|>" and text[start : start + 1] else index
        shown = text[place : place + 1]
        return "yaml_special_character", f"A value cannot begin with {shown} without quotes.", place
    if "tag" in what or "tag" in doing:
        return "yaml_tag", "This begins a tag, which no field here needs.", start if start is not None else index
    return None


def _long_name(index: int) -> Mistake:
    return "yaml_key", "This field's name is longer than the 1,024 characters that YAML allows.", index


def _odd_character(text: str, index: int) -> Mistake | None:
    """Return the mistake of an invisible character at or before `index`: a line break only for YAML, or a BOM."""
    before, here = text[index - 1 : index], text[index : index + 1]
    if before and before in _OTHER_BREAKS:
        shown = f"U+{ord(before):04X}"
        return "yaml_control_character", f"An unseen line break ({shown}) stands here, outside of quotes.", index - 1
    if "\ufeff" in (before, here):
        return "yaml_control_character", "An unseen mark (U+FEFF) stands here.", index - (before == "\ufeff")
    return None


def _after_value(before: str, here: str, index: int) -> Mistake:
    """Return the mistake by `before` (the text before `index` on its line) and `here` (the character at `index`)."""
    last = before.rstrip()[-1:]
    if _FIELD_OPENS_QUOTE.fullmatch(before.rstrip()):
        message = "A quote on a line above is closed only by the quote that should open this value."
        return "yaml_unclosed_quote", message, index
    if last in ('"', "'") and last:
        return "yaml_inner_quotes", "Text goes on after the quote that closes the value.", index
    if last in ("]", "}") and last:
        return "yaml_text_after_bracket", "Text goes on after the bracket that closes the value.", index
    if here == ":":
        return "yaml_key", "A field has no name.", index
    if here == "?":
        return "yaml_special_character", "A value cannot begin with ? without quotes.", index
    if not before.strip(" -"):
        return "yaml_indentation", "This line's indentation fits no field above it.", index
    return "yaml_syntax", "YAML cannot make sense of what stands here.", index
