"""Classifies a message of Celery's queue: a document for a lane, a claim check of a worker, or something else to keep.

No I/O: `worker.runtime.broker.transport` acts on the result. No message is passed to Celery unchanged, because Celery's
log lines and exceptions show the arguments of a message.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from schemas.envelope import MAX_KEY, MAX_REPLY_TO, MAX_SOURCE
from schemas.problem import Problem, problem
from worker.producer.submission import Submission

SUBMIT = "copydesk.submit"
ARGUMENTS = ("raw", "source", "key", "op", "reply_to", "lane", "raw_base64")
"""The arguments of the task `copydesk.submit`, in this order."""
LARGEST_TIMES = 8
"""A message may be this many times its document's size: JSON needs up to 6 bytes a character, base64 adds a third."""
_SHORT = {"source": MAX_SOURCE, "key": MAX_KEY, "reply_to": MAX_REPLY_TO}
_NO_JSON = (ValueError, RecursionError)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}")
_TASK_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_ENTRY_ID = re.compile(r"\d{1,20}-\d{1,20}")
_RESUME = re.compile(r'\["[a-z_ ]{1,40}", "[0-9T:.+-]{1,40}"(, ("[A-Za-z0-9_.:-]{1,80}"|\d{1,20})){1,4}\]')
"""The position at which maintenance continues: a table, a time, and a key, as JSON."""
_LANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class DocumentTask:
    """A valid `copydesk.submit`. `lane` is None if the message names none."""

    submission: Submission
    lane: str | None


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """A task that a worker sent. `message` goes to Celery; it is rebuilt from the parts that were checked."""

    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenClaimCheck:
    """A task of a worker that is not valid, with the reason. It may be dropped: its documents are on the lane."""

    reason: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """Any other message, which becomes a dead letter. `fields` are the producer's fields that could be read."""

    problem: Problem
    fields: Mapping[str, str] = field(default_factory=dict)


class _NotReadable(ValueError):
    """Raised when a message cannot be read; `found` is its problem."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.code)
        self.found = found


def read_message(item: bytes, *, now: datetime | None = None) -> DocumentTask | ClaimCheck | BrokenClaimCheck | Misfit:
    """Classify a message of Celery's queue. `now` is compared with the message's `expires` and `eta`."""
    try:
        envelope = _json(item)
    except _NO_JSON:
        return Misfit(_not_a_task("The message is no JSON.", None))
    if not isinstance(envelope, dict):
        return Misfit(_not_a_task("The message is no JSON object.", None))
    headers = envelope.get("headers")
    task = headers.get("task") if isinstance(headers, dict) else None
    if isinstance(task, str) and task.startswith("copydesk.") and task != SUBMIT:
        try:
            check = _claim_check(task, envelope)
        except _NotReadable as error:
            check = BrokenClaimCheck(error.found.message)
        if isinstance(check, BrokenClaimCheck) and _holds_document(item, envelope):
            # A producer misspelt the task's name, or used the name of a worker's task.
            return Misfit(problem("unknown_task", "The task takes no document.", field="headers.task", expected=SUBMIT))
        return check
    fields: dict[str, str] = {}
    try:
        _check_envelope(envelope)
        if task != SUBMIT:
            shown = f" {task}" if isinstance(task, str) and _NAME.fullmatch(task) else ""
            return Misfit(problem("unknown_task", f"There is no task{shown}.", field="headers.task", expected=SUBMIT))
        args, kwargs, embed = _body(envelope)
        fields = _readable(args, kwargs)
        _check_options(envelope["headers"], embed, now or datetime.now(UTC))
        return _document_task(args, kwargs)
    except _NotReadable as error:
        return Misfit(error.found, fields)


def document_in(item: bytes) -> bytes:
    """Return the document in a message that was kept; if none is recognised, the message's body, or all of `item`."""
    try:
        envelope = _json(item)
    except _NO_JSON:
        return item
    if not isinstance(envelope, dict) or not isinstance(envelope.get("body"), str):
        return item
    try:
        content = _content(envelope)
    except _NotReadable:
        return item
    try:
        body = _json(content)
    except _NO_JSON:
        return content
    return _document_among(body, content)


def _document_among(body: object, content: bytes) -> bytes:
    """Return the document among the arguments in a message's body; if none is recognised, `content`, the whole body."""
    parts = body if isinstance(body, list) else [body.get("args"), body.get("kwargs")] if isinstance(body, dict) else []
    args, kwargs = [*parts, None, None][:2]
    named = dict(kwargs) if isinstance(kwargs, dict) else {}
    values = [*(args if isinstance(args, list) else ()), *named.values()]
    if isinstance(named.get("raw_base64"), str):
        values.insert(0, {"__type__": "base64", "__value__": named["raw_base64"]})
    found = [text for text in map(_as_bytes, [named.get("raw"), *values]) if text is not None]
    return next((text for text in found if text.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"---")), None) or (
        found[0] if found and (named.get("raw") is not None or args) else content
    )


def bind_arguments(args: list[Any], kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments of `copydesk.submit` by name, without those that are None.

    Raises ValueError for wrong arguments; its attribute `found` is the problem.
    """
    if len(args) > len(ARGUMENTS):
        raise _bad(f"{len(args)} arguments were given; there are {len(ARGUMENTS)}.", None)
    bound: dict[str, Any] = dict(zip(ARGUMENTS, args, strict=False))
    for name, value in kwargs.items():
        if name not in ARGUMENTS:
            shown = name if _NAME.fullmatch(name) else None
            raise _bad("There is no such argument.", shown, expected=", ".join(ARGUMENTS))
        if name in bound:
            raise _bad("The argument is given twice.", name)
        bound[name] = value
    given = {name: value for name, value in bound.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise _bad("The argument is no text.", name, expected="text; bytes as raw_base64")
        if name != "raw" and not _is_encodable(value):
            raise _bad("The argument is no text that UTF-8 can hold.", name)
    return given


def submission_of(given: Mapping[str, str]) -> Submission:
    """Return the submission in the arguments that `bind_arguments` returned.

    Raises ValueError for wrong arguments; its attribute `found` is the problem.
    """
    raw: bytes | None = None
    if "raw" in given and "raw_base64" in given:
        raise _bad("Both raw and raw_base64 are given.", "raw_base64", expected="one of the two")
    if "raw" in given:
        # A lone surrogate is sent to the lane unchanged. The worker rejects it there and names its line.
        raw = given["raw"].encode("utf-8", "surrogatepass")
    elif "raw_base64" in given:
        try:
            raw = base64.b64decode(given["raw_base64"], validate=True)
        except (binascii.Error, ValueError):
            raise _bad("The argument is no base64.", "raw_base64") from None
    elif given.get("op") != "retract":
        raise _bad("The document is missing.", "raw", expected="the document's text")
    return Submission(raw, given.get("source"), given.get("key"), given.get("op"), given.get("reply_to"))


def _document_task(args: list[Any], kwargs: Mapping[str, Any]) -> DocumentTask:
    given = bind_arguments(args, kwargs)
    return DocumentTask(submission_of(given), given.get("lane"))


def _readable(args: list[Any], kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return the usable fields of the producer's contract, whatever is wrong with the others."""
    given = {**dict(zip(ARGUMENTS, args, strict=False)), **kwargs}
    return {
        name: given[name]
        for name, limit in _SHORT.items()
        if isinstance(given.get(name), str) and len(given[name]) <= limit and given[name].isprintable()
    }


def _check_envelope(envelope: Mapping[str, Any]) -> None:
    """Check what Celery's protocol (version 2) requires of a message. Raises _NotReadable."""
    headers, properties = envelope.get("headers"), envelope.get("properties")
    if not isinstance(headers, dict):
        raise _NotReadable(_not_a_task("The message has no headers.", "headers"))
    for name in ("task", "id"):
        if not isinstance(headers.get(name), str):
            raise _NotReadable(_not_a_task(f"The message has no {name}.", f"headers.{name}"))
    if not isinstance(properties, dict):
        raise _NotReadable(_not_a_task("The message has no properties.", "properties"))
    if not isinstance(properties.get("delivery_tag"), str):
        raise _NotReadable(_not_a_task("The message has no delivery tag.", "properties.delivery_tag"))
    if not isinstance(properties.get("delivery_info", {}), dict):
        raise _NotReadable(_not_a_task("The delivery info is no object.", "properties.delivery_info"))
    if not isinstance(envelope.get("body"), str):
        raise _NotReadable(_not_a_task("The message has no body.", "body"))


def _content(envelope: Mapping[str, Any]) -> bytes:
    """Return the body as it was before the transport encoded it. Raises _NotReadable."""
    properties = envelope.get("properties")
    encoding = properties.get("body_encoding") if isinstance(properties, dict) else None
    if encoding not in (None, "base64"):
        raise _NotReadable(_not_a_task("The body's encoding is unknown.", "properties.body_encoding", "base64"))
    body: str = envelope["body"]
    if encoding is None:
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise _NotReadable(_not_a_task("The body is no base64.", "body")) from None


def _body(envelope: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Return (args, kwargs, embed) of a task. Raises _NotReadable."""
    if str(envelope.get("content-type")).lower() != "application/json":
        raise _NotReadable(_not_a_task("The body is not JSON.", "content-type", "application/json"))
    if str(envelope.get("content-encoding")).lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise _NotReadable(_not_a_task("The body is not UTF-8.", "content-encoding", "utf-8"))
    if envelope["headers"].get("compression") is not None:
        raise _NotReadable(_not_a_task("The body is compressed.", "headers.compression", "no compression"))
    content = _content(envelope)
    try:
        body = _json(content)
    except _NO_JSON:
        raise _NotReadable(_not_a_task("The body is no JSON.", "body")) from None
    if isinstance(body, list) and len(body) == 3:
        args, kwargs, embed = body[0], body[1], body[2] or {}
        if isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embed, dict):
            return args, kwargs, embed
    raise _NotReadable(_not_a_task("The body is not that of a task.", "body", "[args, kwargs, options]"))


def _check_options(headers: Mapping[str, Any], embed: Mapping[str, Any], now: datetime) -> None:
    """Refuse options that keep a document waiting in a process's memory, drop it, or start another task.

    Raises _NotReadable.
    """
    for name in ("callbacks", "errbacks", "chain", "chord"):
        if embed.get(name):
            raise _NotReadable(
                problem("task_option", "Nothing is called after it.", field=name, expected="no such option")
            )
    expires, eta = _moment(headers, "expires"), _moment(headers, "eta")
    if expires is not None and expires <= now:
        raise _NotReadable(problem("task_option", "It had expired when a worker took it.", field="expires"))
    if eta is not None and eta > now:
        raise _NotReadable(
            problem(
                "task_option", "Documents are not held until a time.", field="eta", expected="to be sent when it is due"
            )
        )


def _moment(headers: Mapping[str, Any], name: str) -> datetime | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise _NotReadable(
            problem("task_option", "The time cannot be read.", field=name, expected="ISO 8601")
        ) from None


def _claim_check(task: str, envelope: Mapping[str, Any]) -> ClaimCheck | BrokenClaimCheck:
    is_known = _CLAIM_CHECKS.get(task)
    if is_known is None:
        return BrokenClaimCheck("this version has no task of its name")
    _check_envelope(envelope)
    headers, properties = envelope["headers"], envelope["properties"]
    args, kwargs, _ = _body(envelope)
    if kwargs or not is_known(args) or not _TASK_ID.fullmatch(headers["id"]):
        return BrokenClaimCheck("its arguments are not those of its task")
    if not _TASK_ID.fullmatch(properties["delivery_tag"]):
        return BrokenClaimCheck("its delivery tag is unusable")
    expires = _moment(headers, "expires")
    return ClaimCheck(
        {
            "body": base64.b64encode(json.dumps([args, {}, {}]).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {
                "lang": "py",
                "task": task,
                "id": headers["id"],
                "root_id": headers["id"],
                "parent_id": None,
                "group": None,
                "expires": expires and expires.isoformat(),
            },
            "properties": {
                "delivery_tag": properties["delivery_tag"],
                "delivery_mode": 2,
                "priority": 0,
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "copydesk"},
            },
        }
    )


def _holds_document(item: bytes, envelope: Mapping[str, Any]) -> bool:
    """Whether a message holds more than the names and ids of a claim check, which are ASCII without a line break."""
    texts, body = [document_in(item)], envelope.get("body")
    if not isinstance(body, str):
        return False
    texts.append(body.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(_NotReadable):
        texts.append(_content(envelope).replace(b"\\n", b"\n"))  # JSON's line breaks, however deep
    return any(b"\n" in text.strip() or not text.isascii() for text in texts)


def _is_ingest(args: list[Any]) -> bool:
    if len(args) != 2 or not isinstance(args[0], str) or not isinstance(args[1], list):
        return False
    return bool(_LANE.fullmatch(args[0])) and all(isinstance(id_, str) and _ENTRY_ID.fullmatch(id_) for id_ in args[1])


def _is_maintain(args: list[Any]) -> bool:
    return not args or (len(args) == 1 and isinstance(args[0], str) and _RESUME.fullmatch(args[0]) is not None)


_CLAIM_CHECKS: dict[str, Callable[[list[Any]], bool]] = {
    "copydesk.ingest": _is_ingest,
    "copydesk.maintain": _is_maintain,
    "copydesk.complete": lambda args: not args,
}


def _json(content: bytes) -> Any:
    return json.loads(content.decode("utf-8"))


def _as_bytes(value: Any) -> bytes | None:
    """Return a text, or bytes in the form in which kombu writes them to JSON, as bytes; None for another value."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and isinstance(value.get("__value__"), str):
        if value.get("__type__") == "base64":
            try:
                return base64.b64decode(value["__value__"], validate=True)
            except (binascii.Error, ValueError):
                return None
        return _as_bytes(value["__value__"]) if value.get("__type__") == "bytes" else None
    return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _not_a_task(message: str, where: str | None, expected: str | None = None) -> Problem:
    return problem("not_a_task", message, field=where, expected=expected)


def _bad(message: str, argument: str | None, expected: str | None = None) -> _NotReadable:
    return _NotReadable(problem("bad_task_arguments", message, field=argument, expected=expected))
