"""The fields that only entries of the internal lane have. Values that no worker can have written are refused as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.problem import CODES, Problem, Severity, problem

_REVISION = re.compile(rb"[0-9]{20}-[0-9]{20}:[A-Za-z0-9_.:-]{1,64}(#[0-9]{4,10})?")
"""The form of `worker.store.decide.identity.revision`."""
_NUMBER = re.compile(rb"[0-9]{1,19}")
_LARGEST_ID = 2**63 - 1
_LARGEST_VERSION = 2**31 - 1
_LONGEST_PROBLEM = 10_000  # bytes
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Replay:
    """A stored document that is processed again with its first `revision`.

    `dead_letter` is the id of the dead letter that it replays; None: the document is reprocessed.
    """

    revision: str
    dead_letter: int | None


@dataclass(frozen=True, slots=True)
class CeleryMessage:
    """A message of Celery's queue that is no document. `raw` is its beginning if `raw_size` is larger."""

    problem: Problem
    raw: bytes
    raw_size: int
    sha256: bytes


def not_ours() -> Problem:
    """Return the problem of an entry that no worker wrote."""
    return problem("internal_error", "An entry of the internal lane is not ours.")


def read_replay(fields: Mapping[bytes, bytes]) -> Replay | None:
    """Return what the fields of a replayed or reprocessed document mean; None if one is missing or out of bounds."""
    revision = fields.get(b"revision", b"")
    if not _REVISION.fullmatch(revision):
        return None
    if b"reprocess" in fields:
        version = _number(fields[b"reprocess"], _LARGEST_VERSION)
        return None if version is None else Replay(revision.decode("ascii"), None)
    dead_letter = _number(fields.get(b"dead_letter", b""), _LARGEST_ID)
    return None if dead_letter is None else Replay(revision.decode("ascii"), dead_letter)


def read_celery_message(fields: Mapping[bytes, bytes]) -> CeleryMessage | None:
    """Return the message that `worker.runtime.broker.task_door` kept; None if a field is missing or out of bounds."""
    raw = fields.get(b"raw", b"")
    found = _problem(fields[b"problem"])
    size = _number(fields.get(b"raw_size", b"%d" % len(raw)), _LARGEST_ID)
    if found is None or size is None or size < len(raw):
        return None
    digest = _digest(fields.get(b"sha256", b"")) if size > len(raw) else hashlib.sha256(raw).digest()
    return None if digest is None else CeleryMessage(found, raw, size, digest)


def _number(digits: bytes, largest: int) -> int | None:
    """Return the number if it is one and not above `largest`."""
    if not _NUMBER.fullmatch(digits):
        return None
    return number if (number := int(digits)) <= largest else None


def _digest(text: bytes) -> bytes | None:
    try:
        digest = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    return digest if len(digest) == _DIGEST_BYTES else None


def _problem(text: bytes) -> Problem | None:
    """Return the problem in the JSON `text` if it is a listed error, and each of its texts can be stored and shown."""
    try:
        found = Problem.model_validate_json(text) if len(text) <= _LONGEST_PROBLEM else None
    except ValueError:
        return None
    if found is None or found.code not in CODES or found.severity is not Severity.ERROR:
        return None
    if CODES[found.code].severity is not Severity.ERROR or found.line is not None or found.column is not None:
        return None
    texts = (found.message, found.field, found.expected, found.value)
    return found if all(shown is None or shown.isprintable() for shown in texts) else None
