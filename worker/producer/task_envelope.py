"""Reads the envelope of a message on Celery's queue (protocol version 2): headers, properties, body. No I/O."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from schemas.problem import Problem, problem

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | None"
NO_JSON = (ValueError, RecursionError)
"""What `parse_json` raises for bytes that are no JSON."""


class UnreadableMessage(ValueError):
    """Raised when a message cannot be read; `problem` says why."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.code)
        self.problem = found


@dataclass(frozen=True, slots=True)
class Call:
    """The body of a task's message: its arguments, and options such as callbacks."""

    args: list[Json]
    kwargs: dict[str, Json]
    options: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Envelope:
    """The checked parts of a message."""

    headers: dict[str, Json]
    task: str
    id: str
    delivery_tag: str
    fields: dict[str, Json]
    """The whole message."""

    @classmethod
    def of(cls, message: dict[str, Json]) -> Envelope:
        """Check what Celery's protocol requires of a message. Raises UnreadableMessage."""
        headers, properties = message.get("headers"), message.get("properties")
        if not isinstance(headers, dict):
            raise not_a_task("The message has no headers.", "headers")
        task, id_ = headers.get("task"), headers.get("id")
        if not isinstance(task, str):
            raise not_a_task("The message has no task.", "headers.task")
        if not isinstance(id_, str):
            raise not_a_task("The message has no id.", "headers.id")
        if not isinstance(properties, dict):
            raise not_a_task("The message has no properties.", "properties")
        tag = properties.get("delivery_tag")
        if not isinstance(tag, str):
            raise not_a_task("The message has no delivery tag.", "properties.delivery_tag")
        if not isinstance(properties.get("delivery_info", {}), dict):
            raise not_a_task("The delivery info is no object.", "properties.delivery_info")
        if not isinstance(message.get("body"), str):
            raise not_a_task("The message has no body.", "body")
        return cls(headers, task, id_, tag, message)

    def call(self) -> Call:
        """Return the arguments and options in the body. Raises UnreadableMessage."""
        if str(self.fields.get("content-type")).lower() != "application/json":
            raise not_a_task("The body is not JSON.", "content-type", "application/json")
        if str(self.fields.get("content-encoding")).lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise not_a_task("The body is not UTF-8.", "content-encoding", "utf-8")
        if self.headers.get("compression") is not None:
            raise not_a_task("The body is compressed.", "headers.compression", "no compression")
        content = decoded_body(self.fields)
        try:
            body = parse_json(content)
        except NO_JSON:
            raise not_a_task("The body is no JSON.", "body") from None
        if isinstance(body, list) and len(body) == 3:
            args, kwargs, options = body[0], body[1], body[2] or {}
            if isinstance(args, list) and isinstance(kwargs, dict) and isinstance(options, dict):
                return Call(args, kwargs, options)
        raise not_a_task("The body is not that of a task.", "body", "[args, kwargs, options]")

    def check_options(self, options: Mapping[str, Json], now: datetime) -> None:
        """Refuse options that keep a document waiting in a process's memory, drop it, or start another task.

        Raises UnreadableMessage.
        """
        for name in ("callbacks", "errbacks", "chain", "chord"):
            if options.get(name):
                raise _bad_option("Nothing is called after it.", name, "no such option")
        expires, eta = self.time("expires"), self.time("eta")
        if expires is not None and expires <= now:
            raise _bad_option("It had expired when a worker took it.", "expires")
        if eta is not None and eta > now:
            raise _bad_option("Documents are not held until a time.", "eta", "to be sent when it is due")

    def time(self, header: str) -> datetime | None:
        """Return the time in a header such as `eta`; None without it. Raises UnreadableMessage."""
        value = self.headers.get(header)
        if value is None:
            return None
        try:
            time = datetime.fromisoformat(value if isinstance(value, str) else "")
            return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            raise _bad_option("The time cannot be read.", header, "ISO 8601") from None


def decoded_body(message: Mapping[str, Json]) -> bytes:
    """Return the body as it was before the transport encoded it. Raises UnreadableMessage."""
    properties = message.get("properties")
    encoding = properties.get("body_encoding") if isinstance(properties, dict) else None
    if encoding not in (None, "base64"):
        raise not_a_task("The body's encoding is unknown.", "properties.body_encoding", "base64")
    body = message.get("body")
    if not isinstance(body, str):
        raise not_a_task("The message has no body.", "body")
    content = from_base64(body) if encoding else body.encode("utf-8", "surrogatepass")
    if content is None:
        raise not_a_task("The body is no base64.", "body")
    return content


def parse_json(content: bytes) -> Json:
    """Return the value of a JSON text. Raises the exceptions in `NO_JSON`."""
    value: Json = json.loads(content.decode("utf-8"))
    return value


def from_base64(text: str) -> bytes | None:
    """Return the bytes of a base64 text; None if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def not_a_task(message: str, where: str | None, expected: str | None = None) -> UnreadableMessage:
    """Return the exception for a message that is not a task; `where`: the faulty part."""
    return UnreadableMessage(problem("not_a_task", message, field=where, expected=expected))


def _bad_option(message: str, name: str, expected: str | None = None) -> UnreadableMessage:
    return UnreadableMessage(problem("task_option", message, field=name, expected=expected))
