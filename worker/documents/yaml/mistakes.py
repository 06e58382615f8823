"""Translate an error of the YAML parser into the mistake that the author made."""

from __future__ import annotations

import re
from typing import NamedTuple

from yaml import MarkedYAMLError, ScalarToken, YAMLError
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # missing in the stubs
from yaml.reader import ReaderError

from schemas.problem import Problem, excerpt, problem
from schemas.text.invisible_characters import name_of_character
from worker.documents.positions import Places
from worker.documents.yaml.nodes import SequenceNode

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEY_BEFORE = re.compile(r"[ \t]*(?:- +)*[^\s:#'\"\[{][^:]*:[ \t]+\S")
_DIRECTIVE = re.compile(r"^%", re.M)
_LONG_NAME = re.compile(r"""[ \t]*(?:- +)*(?:"[^"]{1023,}"|'[^']{1023,}'|[^\s#'"][^:\n]{1023,}):(?:\s|$)""")
_FORBIDDEN_START = (
    "cannot start any token",
    "expected alphabetic or numeric",
    "comment or line break",
    "node content",
    "entries are not allowed",
)
"""Parts of the parser's messages about a character that a value cannot begin with."""
_FIELD = re.compile(r"[ \t]*(?:- +)*[\w.-]+:(?:[ \t]|$)", re.M)
_FIELD_OPENS_QUOTE = re.compile(r"""[ \t]*(?:- +)*[\w.-]+:[ \t]*["']""")
_UNSEEN = "[^\\S \\t\\r\\n]|[\u200b\u2060\ufeff\ufdd0-\ufdd2]"  # white space that is no space for YAML, and kin
_NO_SPACE_AFTER_COLON = re.compile(
    rf"[ \t]*(?:- +)*(?P<name>[A-Za-z_][\w.-]*)(?::(?:(?P<unseen>{_UNSEEN})|(?!//)(?=\S))|(?P<wide>：))"
)
_UNSEEN_INDENTATION = re.compile(rf"[ \t]*(?P<unseen>{_UNSEEN})")
_COMMENT = re.compile(r"[ \t]#(?=[^\s#])[^\r\n]*")


class Mistake(NamedTuple):
    """The problem code, the message and its place: an index of the text."""

    code: str
    message: str
    place: int


class _Failure(NamedTuple):
    """What the parser says: its error, its context, and the indices of both. `start`: where the context began."""

    what: str
    doing: str
    text: str
    place: int
    start: int | None

    @property
    def line_start(self) -> int:
        return line_start(self.text, self.place)

    @property
    def before(self) -> str:
        """The text before the error on its line."""
        return self.text[self.line_start : self.place]

    @property
    def here(self) -> str:
        """The character at the error."""
        return self.text[self.place : self.place + 1]


def diagnose(error: YAMLError, text: str, places: Places) -> Problem:
    """Return the mistake behind `error` as a problem, at the place where the author would correct it."""
    if isinstance(error, ReaderError):
        control = _CONTROL.search(text)
        line, column = places.of_index(control.start() if control else 0)
        shown = f" ({name_of_character(control[0])})" if control else ""
        message = f"There is a raw control character{shown} here."
        return problem("yaml_control_character", message, line=line, column=column, expected="text")
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return problem("yaml_syntax", "The front matter is not valid YAML.", line=places.first_line, column=1)
    start = error.context_mark.index if error.context_mark else None
    code, message, index = _mistake(
        _Failure(str(error.problem), error.context or "", text, error.problem_mark.index, start)
    )
    line, column = places.of_index(min(index, len(text)))
    return problem(code, message, line=line, column=column)


def describe_root(root: object) -> str:
    """Return why the front matter is not a mapping. `title：Ferry` is a text: its colon is not that of YAML."""
    if isinstance(root, SequenceNode):
        return "The front matter is a list."
    space = _NO_SPACE_AFTER_COLON.match(root) if isinstance(root, str) else None
    return _colon_mistake(space).message if space else "The front matter is a text."


def line_start(text: str, index: int) -> int:
    """Return the index at which the line of `index` begins."""
    return max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1


def _mistake(failure: _Failure) -> Mistake:
    what, doing, text, index, start = failure
    if "nesting depth" in what:
        return Mistake("too_deep", "The front matter is nested too deeply.", index)
    if "tab" in what or failure.here == "\t" or (not failure.before.strip() and "\t" in failure.before):
        return Mistake("yaml_tab", "This line is indented with a tab; YAML wants spaces.", index)
    odd = _odd_character(text, start if start is not None and "simple key" in doing else index)
    if odd is not None:
        return odd
    if ("<document start>" in what or "directive" in doing) and (directive := _DIRECTIVE.search(text)):
        message = "A line that begins with % is a directive of YAML, which front matter has no room for."
        return Mistake("yaml_special_character", message, directive.start())
    if what.startswith("mapping values are not allowed"):
        return _unexpected_colon(failure)
    unfinished = _unfinished(failure, start) if start is not None else None
    return unfinished or _forbidden_start(failure) or _after_value(failure)


def _unexpected_colon(failure: _Failure) -> Mistake:
    text, start = failure.text, failure.line_start
    if _LONG_NAME.match(text, start):
        return _long_name(start)
    if _KEY_BEFORE.match(failure.before):
        return Mistake("yaml_unquoted_colon", "A colon stands inside a value without quotes.", failure.place)
    return (
        _wrong_colon_or_indentation(text, start)
        or _comment_in_text(text, start)
        or Mistake("yaml_indentation", "This line is indented further than the field that it follows.", failure.place)
    )


def _wrong_colon_or_indentation(text: str, start: int) -> Mistake | None:
    """Return the mistake of the line at `start` or the line above it, if YAML reads one of them as no field."""
    above = line_start(text, max(start - 1, 0)) if start else None
    for line in (above, start):
        if line is None:
            continue
        if (space := _NO_SPACE_AFTER_COLON.match(text, line)) is not None:
            return _colon_mistake(space)
        if (indentation := _UNSEEN_INDENTATION.match(text, line)) is not None:
            shown = name_of_character(indentation["unseen"])
            message = f"This line is indented with {shown}; YAML wants spaces."
            return Mistake("yaml_indentation", message, indentation.start("unseen"))
    return None


def _colon_mistake(space: re.Match[str]) -> Mistake:
    """Return the mistake of a colon that ends no field's name: nothing, or no plain space, stands behind it."""
    name = excerpt(space["name"])
    if space["wide"]:
        message = f"Behind {name} stands {name_of_character('：')}, which is no colon for YAML."
        return Mistake("yaml_missing_colon", message, space.start("wide"))
    if space["unseen"]:
        shown = name_of_character(space["unseen"])
        message = f"Behind the colon after {name} stands {shown} instead of a plain space."
        return Mistake("yaml_missing_colon", message, space.start("unseen"))
    message = f"Behind the colon after {name} a space is missing."
    return Mistake("yaml_missing_colon", message, space.end())


def _comment_in_text(text: str, start: int) -> Mistake | None:
    """Return the mistake of a comment that cuts the value on the line above `start`, whose text goes on below it."""
    comment = _COMMENT.search(text, line_start(text, max(start - 1, 0)), max(start - 1, 0))
    if comment is None:
        return None
    message = "A comment begins here and cuts the value, so YAML cannot read what follows."
    return Mistake("yaml_special_character", message, comment.start() + 1)


def _unfinished(failure: _Failure, start: int) -> Mistake | None:
    """Return the mistake of a quote, field name or bracket that began at `start` and does not end correctly."""
    what, doing, text = failure.what, failure.doing, failure.text
    if "quoted scalar" in doing:
        if "escape" in what or "hexdecimal" in what:
            return Mistake("yaml_escape", "This backslash begins no escape that YAML knows.", failure.place)
        return _unclosed_quote(start)
    if "simple key" in doing:
        if _LONG_NAME.match(text, line_start(text, start)):
            return _long_name(start)
        return _wrong_colon_or_indentation(text, line_start(text, start)) or Mistake(
            "yaml_missing_colon", "This line is no field: there is no colon after a name.", start
        )
    if "flow" in doing:
        comment = _COMMENT.search(text, start, text.find("\n", start))
        if comment is not None:
            message = "A comment begins here, before the bracket is closed. Put the value with # in quotes."
            return Mistake("yaml_unclosed_bracket", message, comment.start() + 1)
        return Mistake("yaml_unclosed_bracket", "The bracket that opens here is not closed as it should be.", start)
    return None


def _unclosed_quote(index: int) -> Mistake:
    return Mistake("yaml_unclosed_quote", "The quote that opens here is never closed.", index)


def _forbidden_start(failure: _Failure) -> Mistake | None:
    """Return the mistake of a value that begins with a reserved character or a tag."""
    what, doing, text, index, start = failure
    if any(words in what for words in _FORBIDDEN_START):
        place = start if start is not None and text[start : start + 1] in "*&|>" and text[start : start + 1] else index
        shown = text[place : place + 1]
        shown = shown if shown.isprintable() else name_of_character(shown)
        return Mistake("yaml_special_character", f"A value cannot begin with {shown} without quotes.", place)
    if "tag" in what or "tag" in doing:
        return Mistake(
            "yaml_tag", "This begins a tag, which no field here needs.", start if start is not None else index
        )
    return None


def _long_name(index: int) -> Mistake:
    return Mistake("yaml_key", "This field's name is longer than the 1,024 characters that YAML allows.", index)


def _odd_character(text: str, index: int) -> Mistake | None:
    """Return the mistake of a byte order mark at or before `index`."""
    before, here = text[index - 1 : index], text[index : index + 1]
    if "\ufeff" in (before, here):
        message = f"An unseen mark ({name_of_character(chr(0xFEFF))}) stands here."
        return Mistake("yaml_control_character", message, index - (before == "\ufeff"))
    return None


def _after_value(failure: _Failure) -> Mistake:
    """Return the mistake of something that follows a complete value."""
    before, index = failure.before, failure.place
    last = before.rstrip()[-1:]
    if last and last in "\"'":
        opening = _opening_quote(failure.text, index)
        if opening is not None:
            return _unclosed_quote(opening)
        return Mistake("yaml_inner_quotes", "Text goes on after the quote that closes the value.", index)
    if last and last in "]}":
        return Mistake("yaml_text_after_bracket", "Text goes on after the bracket that closes the value.", index)
    if failure.here == ":":
        return Mistake("yaml_key", "A field has no name.", index)
    if failure.here == "?":
        return Mistake("yaml_special_character", "A value cannot begin with ? without quotes.", index)
    if not before.strip(" -"):
        line = failure.line_start
        return (
            _wrong_colon_or_indentation(failure.text, line)
            or _comment_in_text(failure.text, line)
            or Mistake("yaml_indentation", "This line's indentation fits no field above it.", index)
        )
    return Mistake("yaml_syntax", "YAML cannot make sense of what stands here.", index)


def _opening_quote(text: str, index: int) -> int | None:
    """Return where the quoted value before `index` begins, if it runs over a line that begins a field.

    Then a quote above is not closed, and the value ends at the quote that opens, or stands inside, another value.
    """
    get_token = CParser(text).get_token
    opening: int | None = None
    try:
        while (token := get_token()) is not None and token.start_mark.index < index:
            if isinstance(token, ScalarToken) and token.style in ("'", '"'):
                opening = token.start_mark.index
    except YAMLError:
        pass  # it is the error that is being explained
    if opening is None:
        return None
    end_of_line = text.find("\n", opening)
    return opening if 0 <= end_of_line < index and _FIELD.search(text, end_of_line, index) else None
