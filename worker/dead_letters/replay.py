"""Replay dead letters on the internal lane, with their first revision; an edit adds a suffix to it."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from schemas.codes import ENVELOPE_CODES, WORKER_CODES
from schemas.problem import Problem, Severity
from worker.dead_letters.dry_run import Advance
from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.producer.task_message import document_in
from worker.settings import INTERNAL_LANE
from worker.store import dead_letters
from worker.store.engine import writing
from worker.store.sql.statements import AnyRow
from worker.telemetry.failpoints import failpoint

if TYPE_CHECKING:
    from redis.typing import EncodableT, FieldT

_PAGE = 20
"""Dead letters whose documents are in memory at once. A document may have a megabyte."""


def operator() -> str:
    """Return `user@host` of this process, for the record of actions."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def matching_dead_letters(engine: Engine, selection: dead_letters.Filter) -> Iterator[tuple[AnyRow, bytes | None]]:
    """Yield each matching dead letter with its document; None if none was sent or it was too large to be stored."""
    after = 0
    while True:
        with engine.connect() as connection:
            page = dead_letters.find(connection, selection, after=after, most=_PAGE)
            raws = dead_letters.raw_of(connection, (dead_letter.raw_sha256 for dead_letter in page))
        for dead_letter in page:
            row = raws.get(dead_letter.raw_sha256)
            is_whole = row is not None and len(row.bytes) == row.size
            yield dead_letter, document_of(dead_letter, bytes(row.bytes)) if row is not None and is_whole else None
        if len(page) < _PAGE:
            return
        after = page[-1].id


def document_of(dead_letter: AnyRow, stored: bytes) -> bytes:
    """Return the document in the stored bytes.

    For a message from Celery's queue that was not edited: the document in it.
    """
    return document_in(stored) if dead_letter.lane == INTERNAL_LANE and not dead_letter.edits else stored


def can_be_replayed(dead_letter: AnyRow, raw: bytes | None) -> bool:
    """Return whether there is a document to send again. A replay cannot correct errors of the entry's other fields."""
    codes = {problem["code"] for problem in dead_letter.problems if problem["severity"] == "error"}
    return raw is not None and dead_letter.op == "put" and not codes & ENVELOPE_CODES


def problems_now(dead_letter: AnyRow, raw: bytes | None, limits: Limits) -> list[Problem]:
    """Return the errors that a replay would have now.

    Returns the stored errors if it cannot be replayed, and for codes of the worker (`WORKER_CODES`): such a document
    may have crashed its process, so it is not parsed here.
    """
    if raw is None or not can_be_replayed(dead_letter, raw) or dead_letter.code in WORKER_CODES:
        return [Problem(**problem) for problem in dead_letter.problems if problem["severity"] == "error"]
    reading = read(raw, has_key=dead_letter.key is not None, limits=limits)
    return [problem for problem in reading.problems if problem.severity is Severity.ERROR]


def replay(
    engine: Engine,
    client: redis.Redis,
    selection: dead_letters.Filter,
    *,
    who: str | None = None,
    advance: Advance = lambda _: None,
) -> int:
    """Send the dead letters to the internal lane; returns how many were sent. `who`: the operator, for the record.

    Each replay is recorded before it is sent. Raises redis.RedisError and SQLAlchemy's errors.
    """
    sent, who = 0, who or operator()
    for seen, (dead_letter, raw) in enumerate(matching_dead_letters(engine, selection), 1):
        advance(seen)
        if raw is None or not can_be_replayed(dead_letter, raw):
            continue
        fields: dict[FieldT, EncodableT] = {
            "raw": raw,
            "source": dead_letter.source,
            "revision": f"{dead_letter.revision}#{dead_letter.edits:04d}"
            if dead_letter.edits
            else dead_letter.revision,
            "dead_letter": dead_letter.id,
        }
        if dead_letter.key is not None:
            fields["key"] = dead_letter.key
        with writing(engine) as connection:
            dead_letters.record(connection, dead_letter.id, "replayed", who, sha256=dead_letter.raw_sha256)
        failpoint("replay.recorded")
        try:
            client.xadd(INTERNAL_LANE, fields)
        except redis.RedisError:
            with contextlib.suppress(SQLAlchemyError), writing(engine) as connection:
                dead_letters.record(connection, dead_letter.id, "failed", who, reason="not sent: Redis cannot be used")
            raise
        failpoint("replay.sent")
        sent += 1
    return sent
