"""Replays of dead letters: on the internal lane, with the revision of what they repeat."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterator
from typing import Any

import redis
from sqlalchemy import Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from schemas.codes import ENVELOPE_CODES, WORKER_CODES
from schemas.problem import Problem, Severity
from worker.document.limits import Limits
from worker.document.validate import read
from worker.intake.task_message import document_in
from worker.observe.failpoints import failpoint
from worker.settings import INTERNAL_LANE
from worker.store import dead
from worker.store.engine import writing

_PAGE = 500


def operator() -> str:
    """Who acts, for the record."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def letters(engine: Engine, wanted: dead.Filter) -> Iterator[tuple[Row[Any], bytes | None]]:
    """Each dead letter with its raw bytes; None where they were too large to be kept, or none were sent."""
    after = 0
    while True:
        with engine.connect() as connection:
            page = dead.find(connection, wanted, after=after, most=_PAGE)
            raws = dead.raw_of(connection, (letter.raw_sha256 for letter in page))
        for letter in page:
            row = raws.get(letter.raw_sha256)
            is_whole = row is not None and len(row.bytes) == row.size
            yield letter, document_of(letter, bytes(row.bytes)) if row is not None and is_whole else None
        if len(page) < _PAGE:
            return
        after = page[-1].id


def document_of(letter: Row[Any], kept: bytes) -> bytes:
    """What people read and mend of the bytes that were kept: of a message of Celery's queue the document in it."""
    return document_in(kept) if letter.lane == INTERNAL_LANE and not letter.edits else kept


def can_be_replayed(letter: Row[Any], raw: bytes | None) -> bool:
    """Whether there is a document to send again: not when it was the entry around it that could not be followed."""
    codes = {found["code"] for found in letter.problems if found["severity"] == "error"}
    return raw is not None and letter.op == "put" and not codes & ENVELOPE_CODES


def problems_now(letter: Row[Any], raw: bytes | None, limits: Limits) -> list[Problem]:
    """The errors that a replay would meet now; a document that killed its process is not read here."""
    if raw is None or not can_be_replayed(letter, raw) or letter.code in WORKER_CODES:
        return [Problem(**found) for found in letter.problems if found["severity"] == "error"]
    reading = read(raw, has_key=letter.key is not None, limits=limits)
    return [found for found in reading.problems if found.severity is Severity.ERROR]


def replay(engine: Engine, client: redis.Redis, wanted: dead.Filter, *, who: str | None = None) -> int:
    """Send the dead letters through the pipeline again; returns how many were sent. `who`: for the record.

    Raises redis.RedisError and SQLAlchemy's errors.
    """
    sent, who = 0, who or operator()
    for letter, raw in letters(engine, wanted):
        if not can_be_replayed(letter, raw):
            continue
        fields: dict[Any, Any] = {
            "raw": raw,
            "source": letter.source,
            "revision": f"{letter.revision}#{letter.edits:04d}" if letter.edits else letter.revision,
            "dead_letter": letter.id,
        }
        if letter.key is not None:
            fields["key"] = letter.key
        with writing(engine) as connection:
            dead.record(connection, letter.id, "replayed", who, sha256=letter.raw_sha256)
        failpoint("replay.recorded")
        try:
            client.xadd(INTERNAL_LANE, fields)
        except redis.RedisError:
            with contextlib.suppress(SQLAlchemyError), writing(engine) as connection:
                dead.record(connection, letter.id, "failed", who, reason="not sent: Redis cannot be used")
            raise
        failpoint("replay.sent")
        sent += 1
    return sent
