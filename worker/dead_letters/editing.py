"""Load, edit, validate and replay one dead letter. Used by the command line and the console."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from schemas.codes import WORKER_CODES
from schemas.problem import Problem
from worker.dead_letters.redacted_text import RedactedText, redact
from worker.dead_letters.replay import can_be_replayed, document_of, replay
from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.errors import CopydeskError
from worker.store import dead_letters
from worker.store.engine import writing
from worker.store.sql.statements import AnyRow


class DeadLetterChanged(CopydeskError):
    """Raised when a dead letter changed after the operator loaded it; the message says what it is now."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter with the stored bytes of its document and the recorded actions."""

    row: AnyRow
    content: bytes
    """The document, or its beginning if it was beyond the size limit.

    For a message from Celery's queue: the document in it.
    """
    size: int
    """How many bytes were sent; if `content` is a document from a message, without the rest of the message."""
    actions: list[AnyRow]

    @property
    def raw(self) -> bytes | None:
        """The document; None if it was not stored whole or none was sent."""
        return self.content if self.row.raw_sha256 is not None and self.size == len(self.content) else None

    @property
    def shown(self) -> RedactedText:
        return redact(self.content)

    @property
    def problems(self) -> list[Problem]:
        return [Problem(**problem) for problem in self.row.problems]

    @property
    def can_be_replayed(self) -> bool:
        return can_be_replayed(self.row, self.raw)

    @property
    def version(self) -> str:
        """A token that changes with each edit: the SHA-256 of the document in hex, empty without one."""
        digest: bytes | None = self.row.raw_sha256
        return digest.hex() if digest else ""


def dead_letter(engine: Engine, id_: int) -> DeadLetter | None:
    """Return the dead letter with this id, open or not; None if there is none."""
    with engine.connect() as connection:
        row = next(iter(dead_letters.find(connection, dead_letters.Filter(ids=(id_,), status=None))), None)
        if row is None:
            return None
        raw = dead_letters.raw_of(connection, [row.raw_sha256]).get(row.raw_sha256)
        actions = dead_letters.actions_of(connection, id_)
    stored, size = (bytes(raw.bytes), int(raw.size)) if raw is not None else (b"", 0)
    document = document_of(row, stored) if size == len(stored) else stored
    return DeadLetter(row, document, size - len(stored) + len(document), actions)


def check(dead_letter: DeadLetter, text: bytes, limits: Limits) -> list[Problem]:
    """Return the errors and warnings of an edited text.

    Returns none for codes of the worker (`WORKER_CODES`): such a document may have crashed its process, so it is not
    parsed here.
    """
    if dead_letter.row.code in WORKER_CODES:
        return []
    return list(read(text, has_key=dead_letter.row.key is not None, limits=limits).problems)


def edit_and_replay(engine: Engine, client: redis.Redis, seen: DeadLetter, text: bytes, who: str) -> bool:
    """Store `text` in place of the document and replay it; returns whether `text` differs from the document.

    `who`: the operator, for the record. Raises DeadLetterChanged if the dead letter is no longer as in `seen`;
    redis.RedisError if Redis is not available (nothing is stored) or sending fails (the text is stored); SQLAlchemy's
    errors.
    """
    is_edit = text != seen.raw
    client.ping()  # raises before anything is stored or recorded if Redis is not available
    with writing(engine) as connection:
        is_stored = is_edit and dead_letters.keep_edit(connection, seen.row, text, who)
        if not is_stored and (fault := _change(connection, seen.row, is_edit=is_edit)):
            raise DeadLetterChanged(fault)
    if not replay(engine, client, dead_letters.Filter(ids=(seen.row.id,)), who=who):
        raise DeadLetterChanged("it was closed in the meantime")
    return is_edit


def _change(connection: Connection, seen: AnyRow, *, is_edit: bool) -> str | None:
    """Return how a dead letter changed since it was `seen`; None: it did not."""
    now = next(iter(dead_letters.find(connection, dead_letters.Filter(ids=(seen.id,), status=None))), None)
    if now is None or now.status != "open":
        return f"it is {'gone' if now is None else now.status}"
    is_same = (now.raw_sha256, now.edits) == (seen.raw_sha256, seen.edits)
    return None if is_same and not is_edit else "somebody else has edited it in the meantime"
