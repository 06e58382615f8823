"""Classifies a message of Celery's queue: a document for a lane, a claim check of a worker, or something else to keep.

No I/O: `worker.runtime.broker.task_door` acts on the result. No message is passed to Celery unchanged, because Celery's
log lines and exceptions show the arguments of a message.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.problem import Problem, problem
from worker.producer.submission import Submission
from worker.producer.task_arguments import NAME, SUBMIT, bind_arguments, submission_of, usable_fields
from worker.producer.task_envelope import (
    NO_JSON,
    Envelope,
    Json,
    UnreadableMessage,
    decoded_body,
    from_base64,
    not_a_task,
    parse_json,
)
from worker.queue.lease_queue import is_entry_id

LARGEST_TIMES = 8
"""A message may be this many times its document's size: JSON needs up to 6 bytes a character, base64 adds a third."""
_TASK_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_RESUME = re.compile(r'\["[a-z_ ]{1,40}"(, ("[A-Za-z0-9_.:+-]{1,80}"|[0-9]{1,20})){1,5}\]')
"""The position at which maintenance continues: a rule, a time if its rows have one, and a key, as JSON."""
_LANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class DocumentTask:
    """A valid `copydesk.submit`. `lane` is None if the message names none."""

    submission: Submission
    lane: str | None


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """A task that a worker sent. `message` goes to Celery; it is rebuilt from the parts that were checked."""

    message: dict[str, object]


@dataclass(frozen=True, slots=True)
class BrokenClaimCheck:
    """A task of a worker that is not valid, with the reason. It may be dropped: its documents are on the lane."""

    reason: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """Any other message, which becomes a dead letter. `fields` are the producer's fields that could be read."""

    problem: Problem
    fields: Mapping[str, str] = field(default_factory=dict)


def read_message(item: bytes, *, now: datetime | None = None) -> DocumentTask | ClaimCheck | BrokenClaimCheck | Misfit:
    """Classify a message of Celery's queue. `now` is compared with the message's `expires` and `eta`."""
    try:
        message = parse_json(item)
    except NO_JSON:
        return Misfit(not_a_task("The message is no JSON.", None).problem)
    if not isinstance(message, dict):
        return Misfit(not_a_task("The message is no JSON object.", None).problem)
    headers = message.get("headers")
    task = headers.get("task") if isinstance(headers, dict) else None
    if isinstance(task, str) and task.startswith("copydesk.") and task != SUBMIT:
        check = _claim_check(task, message)
        if isinstance(check, BrokenClaimCheck) and _holds_document(item, message):
            # A producer misspelt the task's name, or used the name of a worker's task.
            return Misfit(problem("unknown_task", "The task takes no document.", field="headers.task", expected=SUBMIT))
        return check
    return _document_task(message, now or datetime.now(UTC))


def _document_task(message: dict[str, Json], now: datetime) -> DocumentTask | Misfit:
    fields: dict[str, str] = {}
    try:
        envelope = Envelope.of(message)
        if envelope.task != SUBMIT:
            name = f" {envelope.task}" if NAME.fullmatch(envelope.task) else ""
            return Misfit(problem("unknown_task", f"There is no task{name}.", field="headers.task", expected=SUBMIT))
        call = envelope.call()
        fields = usable_fields(call.args, call.kwargs)
        envelope.check_options(call.options, now)
        given = bind_arguments(call.args, call.kwargs)
        return DocumentTask(submission_of(given), given.get("lane"))
    except UnreadableMessage as error:
        return Misfit(error.problem, fields)


def _claim_check(task: str, message: dict[str, Json]) -> ClaimCheck | BrokenClaimCheck:
    has_valid_arguments = _CLAIM_CHECKS.get(task)
    if has_valid_arguments is None:
        return BrokenClaimCheck("this version has no task of its name")
    try:
        envelope = Envelope.of(message)
        call = envelope.call()
        if call.kwargs or not has_valid_arguments(call.args) or not _TASK_ID.fullmatch(envelope.id):
            return BrokenClaimCheck("its arguments are not those of its task")
        if not _TASK_ID.fullmatch(envelope.delivery_tag):
            return BrokenClaimCheck("its delivery tag is unusable")
        return ClaimCheck(_rebuilt(envelope, call.args, envelope.time("expires")))
    except UnreadableMessage as error:
        return BrokenClaimCheck(error.problem.message)


def _rebuilt(envelope: Envelope, args: Sequence[Json], expires: datetime | None) -> dict[str, object]:
    return {
        "body": base64.b64encode(json.dumps([args, {}, {}]).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "lang": "py",
            "task": envelope.task,
            "id": envelope.id,
            "root_id": envelope.id,
            "parent_id": None,
            "group": None,
            "expires": expires and expires.isoformat(),
        },
        "properties": {
            "delivery_tag": envelope.delivery_tag,
            "delivery_mode": 2,
            "priority": 0,
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "copydesk"},
        },
    }


def _is_ingest(args: Sequence[Json]) -> bool:
    if len(args) != 2 or not isinstance(args[0], str) or not isinstance(args[1], list):
        return False
    return bool(_LANE.fullmatch(args[0])) and all(isinstance(id_, str) and is_entry_id(id_) for id_ in args[1])


def _is_maintain(args: Sequence[Json]) -> bool:
    return not args or (len(args) == 1 and isinstance(args[0], str) and _RESUME.fullmatch(args[0]) is not None)


_CLAIM_CHECKS: dict[str, Callable[[Sequence[Json]], bool]] = {
    "copydesk.ingest": _is_ingest,
    "copydesk.maintain": _is_maintain,
    "copydesk.complete": lambda args: not args,
    "copydesk.roll_up": lambda args: not args,
}


def document_in(item: bytes) -> bytes:
    """Return the document in a message that was kept; if none is recognised, the message's body, or all of `item`."""
    content = item
    try:
        message = parse_json(item)
        if isinstance(message, dict) and isinstance(message.get("body"), str):
            content = decoded_body(message)
            return _document_among(parse_json(content), content)
    except NO_JSON:  # UnreadableMessage is a ValueError too
        return content
    return item


def _document_among(body: Json, content: bytes) -> bytes:
    """Return the document among the arguments in a message's body; if none is recognised, `content`, the whole body."""
    parts = body if isinstance(body, list) else [body.get("args"), body.get("kwargs")] if isinstance(body, dict) else []
    args, kwargs = [*parts, None, None][:2]
    named = dict(kwargs) if isinstance(kwargs, dict) else {}
    values: list[Json] = [*(args if isinstance(args, list) else ()), *named.values()]
    if isinstance(named.get("raw_base64"), str):
        values.insert(0, {"__type__": "base64", "__value__": named["raw_base64"]})
    texts = [text for text in map(_as_bytes, [named.get("raw"), *values]) if text is not None]
    return next((text for text in texts if text.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"---")), None) or (
        texts[0] if texts and (named.get("raw") is not None or args) else content
    )


def _as_bytes(value: Json) -> bytes | None:
    """Return a text, or bytes in the form in which kombu writes them to JSON, as bytes; None for another value."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    encoded = value.get("__value__") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(encoded, str):
        return None
    if value.get("__type__") == "base64":
        return from_base64(encoded)
    return _as_bytes(encoded) if value.get("__type__") == "bytes" else None


def _holds_document(item: bytes, message: Mapping[str, Json]) -> bool:
    """Whether a message holds more than the names and ids of a claim check, which are ASCII without a line break."""
    texts, body = [document_in(item)], message.get("body")
    if not isinstance(body, str):
        return False
    texts.append(body.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UnreadableMessage):
        texts.append(decoded_body(message).replace(b"\\n", b"\n"))  # JSON's line breaks, however deep
    return any(b"\n" in text.strip() or not text.isascii() for text in texts)
