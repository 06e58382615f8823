"""The arguments of the Celery task `copydesk.submit`, by which a producer sends a document. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from schemas.envelope import MAX_KEY, MAX_REPLY_TO, MAX_SOURCE
from schemas.problem import problem
from worker.producer.submission import Submission, encoded
from worker.producer.task_envelope import Json, UnreadableMessage, from_base64

SUBMIT = "copydesk.submit"
ARGUMENTS = ("raw", "source", "key", "op", "reply_to", "lane", "raw_base64")
"""The arguments of the task, in this order."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}")
"""A name of a task or an argument that a message to people may show."""
_SHORT = {"source": MAX_SOURCE, "key": MAX_KEY, "reply_to": MAX_REPLY_TO}


def bind_arguments(args: Sequence[Json], kwargs: Mapping[str, Json]) -> dict[str, str]:
    """Return the arguments by name, without those that are None.

    Raises UnreadableMessage, a ValueError, for wrong arguments.
    """
    if len(args) > len(ARGUMENTS):
        raise _bad(f"{len(args)} arguments were given; there are {len(ARGUMENTS)}.", None)
    bound: dict[str, Json] = dict(zip(ARGUMENTS, args, strict=False))
    for name, value in kwargs.items():
        if name not in ARGUMENTS:
            printable = name if NAME.fullmatch(name) else None
            raise _bad("There is no such argument.", printable, expected=", ".join(ARGUMENTS))
        if name in bound:
            raise _bad("The argument is given twice.", name)
        bound[name] = value
    given: dict[str, str] = {}
    for name, value in bound.items():
        if value is None:
            continue
        if not isinstance(value, str):
            raise _bad("The argument is no text.", name, expected="text; bytes as raw_base64")
        if name != "raw" and not _is_encodable(value):
            raise _bad("The argument is no text that UTF-8 can hold.", name)
        given[name] = value
    return given


def submission_of(given: Mapping[str, str]) -> Submission:
    """Return the submission in the arguments that `bind_arguments` returned.

    Raises UnreadableMessage, a ValueError, for wrong arguments.
    """
    raw: bytes | None = None
    if "raw" in given and "raw_base64" in given:
        raise _bad("Both raw and raw_base64 are given.", "raw_base64", expected="one of the two")
    if "raw" in given:
        raw = encoded(given["raw"])
    elif "raw_base64" in given:
        raw = from_base64(given["raw_base64"])
        if raw is None:
            raise _bad("The argument is no base64.", "raw_base64")
    elif given.get("op") != "retract":
        raise _bad("The document is missing.", "raw", expected="the document's text")
    return Submission(raw, given.get("source"), given.get("key"), given.get("op"), given.get("reply_to"))


def usable_fields(args: Sequence[Json], kwargs: Mapping[str, Json]) -> dict[str, str]:
    """Return the short fields of the producer's contract that are valid, whatever is wrong with the others."""
    given = {**dict(zip(ARGUMENTS, args, strict=False)), **kwargs}
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    return {
        name: texts[name]
        for name, limit in _SHORT.items()
        if name in texts and len(texts[name]) <= limit and texts[name].isprintable()
    }


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _bad(message: str, argument: str | None, expected: str | None = None) -> UnreadableMessage:
    return UnreadableMessage(problem("bad_task_arguments", message, field=argument, expected=expected))
