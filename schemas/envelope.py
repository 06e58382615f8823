"""The fields of one stream entry, as a crawler sends them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from schemas.problem import Problem, problem

MAX_SOURCE = 200  # characters
MAX_KEY = 1024
MAX_REPLY_TO = 200
REPLIES = "replies:"

_LISTED_FIELDS = 10
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
FIELDS = frozenset({b"raw", b"source", b"key", b"op", b"reply_to", b"traceparent"})


class Op(StrEnum):
    """The operation: store the document or retract it."""

    PUT = "put"
    RETRACT = "retract"


class Envelope(BaseModel):
    """One stream entry. `key` is the producer's own identity for the document; in a retraction, that key or the URL."""

    model_config = ConfigDict(frozen=True)

    raw: bytes = b""
    source: str = ""
    key: str | None = None
    op: Op = Op.PUT
    reply_to: str | None = None
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The trace id of the W3C `traceparent`, for the logs."""
        return self.traceparent.split("-")[1] if self.traceparent else None


def parse_envelope(fields: Mapping[bytes, bytes]) -> tuple[Envelope, tuple[Problem, ...]]:
    """Parse the fields of an entry as Redis returns them. Return the envelope and the problems.

    If one of the problems is an error, the entry must be rejected. The envelope then holds the fields that could be
    parsed, so that a receipt can still be sent to `reply_to`.
    """
    problems: list[Problem] = []
    source = _text(fields, b"source", MAX_SOURCE, "bad_source", problems)
    key = _text(fields, b"key", MAX_KEY, "bad_key", problems)
    reply_to = _reply_to(fields, problems)
    op = _op(fields.get(b"op", b""), problems)
    raw = fields.get(b"raw")
    if op is Op.RETRACT:
        key = key or _retracted_url(raw)
        if key is None and not any(found.code == "bad_key" for found in problems):
            problems.append(problem("retract_what", field="key", expected="the document's key or URL"))
    elif raw is None and op is Op.PUT:
        problems.append(problem("no_raw", field="raw", expected="the document's bytes"))
    traceparent = _traceparent(fields.get(b"traceparent", b""), problems)
    if not FIELDS.issuperset(fields):
        unknown = sorted(fields.keys() - FIELDS)
        problems += map(_unknown_field, unknown[:_LISTED_FIELDS])
        if len(unknown) > _LISTED_FIELDS:
            left = f"{len(unknown) - _LISTED_FIELDS:,} more unknown fields of the entry are not listed."
            problems.append(problem("too_many_problems", left))
    # The fields are already checked. `model_construct` skips validation and takes half the time.
    envelope = Envelope.model_construct(
        raw=raw or b"",
        source=source or "",
        key=key,
        op=op or Op.PUT,
        reply_to=reply_to,
        traceparent=traceparent,
    )
    return envelope, tuple(problems)


def is_source(name: str) -> bool:
    """Return whether a document can have this source."""
    is_unicode = name.encode("utf-8", "ignore").decode("utf-8") == name
    return is_unicode and 0 < len(name) <= MAX_SOURCE and not _CONTROL.search(name)


def _text(fields: Mapping[bytes, bytes], name: bytes, limit: int, code: str, problems: list[Problem]) -> str | None:
    """Return the text of the field `name`. Return None if it is missing, empty or not valid (then with a problem)."""
    raw = fields.get(name)
    if not raw:
        return None
    try:
        text = raw.decode("utf-8") if len(raw) <= limit * 4 else None
    except UnicodeDecodeError:
        text = None
    if text is None or len(text) > limit or _CONTROL.search(text):
        shown = raw[: limit * 4].decode("utf-8", "replace")
        expected = f"UTF-8, at most {limit:,} characters, no control characters"
        problems.append(problem(code, field=name.decode(), value=shown, expected=expected))
        return None
    return text


def _reply_to(fields: Mapping[bytes, bytes], problems: list[Problem]) -> str | None:
    stream = _text(fields, b"reply_to", MAX_REPLY_TO, "bad_reply_to", problems)
    if stream is None or (stream.startswith(REPLIES) and stream != REPLIES):
        return stream
    problems.append(problem("bad_reply_to", field="reply_to", value=stream, expected=f"{REPLIES}<name>"))
    return None


def _unknown_field(name: bytes) -> Problem:
    shown = name[:80].decode("utf-8", "backslashreplace")
    return problem("unknown_entry_field", f"The field {shown!r} means nothing here.", field=shown)


def _op(raw: bytes, problems: list[Problem]) -> Op | None:
    try:
        return Op(raw.decode("ascii")) if raw else Op.PUT
    except ValueError:
        shown = raw[:80].decode("utf-8", "backslashreplace")
        problems.append(problem("unknown_op", field="op", value=shown, expected="put or retract"))
        return None


def _retracted_url(raw: bytes | None) -> str | None:
    """Return the URL if `raw` is a URL and nothing else. A retraction ignores any other content of `raw`."""
    try:
        url = (raw or b"")[: MAX_KEY * 4 + 1].decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    return url if len(url) <= MAX_KEY and re.fullmatch(r"https?://\S+", url) else None


def _traceparent(raw: bytes, problems: list[Problem]) -> str | None:
    if not raw:
        return None
    if _TRACEPARENT.fullmatch(raw) and not raw.startswith(b"ff"):
        return raw.decode("ascii")
    problems.append(problem("bad_traceparent", field="traceparent", value=raw[:80].decode("utf-8", "backslashreplace")))
    return None
