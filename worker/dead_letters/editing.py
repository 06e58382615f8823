"""One dead letter: looked at, mended, checked and sent again. What the command line and the console have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine, Row
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


class DeadLetterChanged(CopydeskError):
    """Raised when a dead letter is not (any more) as whoever mends it saw it; the message says what it is now."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter with what is kept of its document."""

    row: Row[Any]
    kept: bytes
    """All of it, or of one beyond the size limit its beginning. Of a message of Celery's queue: the document in it."""
    size: int
    """Bytes that were sent, of the document where `kept` is one that was in a message."""
    actions: list[Row[Any]]

    @property
    def raw(self) -> bytes | None:
        """The document; None where it was not kept whole, or none was sent."""
        return self.kept if self.row.raw_sha256 is not None and self.size == len(self.kept) else None

    @property
    def shown(self) -> RedactedText:
        return redact(self.kept)

    @property
    def problems(self) -> list[Problem]:
        return [Problem(**found) for found in self.row.problems]

    @property
    def can_be_replayed(self) -> bool:
        return can_be_replayed(self.row, self.raw)

    @property
    def version(self) -> str:
        """Another after each edit."""
        digest: bytes | None = self.row.raw_sha256
        return digest.hex() if digest else ""


def dead_letter(engine: Engine, id_: int) -> DeadLetter | None:
    """The dead letter of a number, open or not."""
    with engine.connect() as connection:
        row = next(iter(dead_letters.find(connection, dead_letters.Filter(ids=(id_,), status=None))), None)
        if row is None:
            return None
        raw = dead_letters.raw_of(connection, [row.raw_sha256]).get(row.raw_sha256)
        actions = dead_letters.actions_of(connection, id_)
    stored, size = (bytes(raw.bytes), int(raw.size)) if raw is not None else (b"", 0)
    document = document_of(row, stored) if size == len(stored) else stored
    return DeadLetter(row, document, size - len(stored) + len(document), actions)


def check(found: DeadLetter, text: bytes, limits: Limits) -> list[Problem]:
    """What a mended text would meet, errors and warnings; a document that ended the process that read it is not read here."""
    if found.row.code in WORKER_CODES:
        return []
    return list(read(text, has_key=found.row.key is not None, limits=limits).problems)


def edit_and_replay(engine: Engine, client: redis.Redis, found: DeadLetter, text: bytes, who: str) -> bool:
    """Keep `text` in place of what was sent, and send it through the pipeline; returns whether it is another text.

    Raises LetterChanged when the dead letter is not (any more) as `found` says, with nothing changed; redis.RedisError when the
    text is kept and could not be sent; SQLAlchemy's errors.
    """
    is_edit = text != found.raw
    client.ping()  # while Redis is away nothing is kept or recorded
    with writing(engine) as connection:
        is_kept = is_edit and dead_letters.keep_edit(connection, found.row, text, who)
        if not is_kept and (fault := _change(connection, found.row, is_edit=is_edit)):
            raise DeadLetterChanged(fault)
    if not replay(engine, client, dead_letters.Filter(ids=(found.row.id,)), who=who):
        raise DeadLetterChanged("it was closed meanwhile")
    return is_edit


def _change(connection: Connection, seen: Row[Any], *, is_edit: bool) -> str | None:
    """What has become of a dead letter since it was seen; None: nothing."""
    now = next(iter(dead_letters.find(connection, dead_letters.Filter(ids=(seen.id,), status=None))), None)
    if now is None or now.status != "open":
        return f"it is {'gone' if now is None else now.status}"
    is_same = (now.raw_sha256, now.edits) == (seen.raw_sha256, seen.edits)
    return None if is_same and not is_edit else "somebody else has mended it meanwhile"
