"""One dead letter: looked at, mended, checked and sent again. What the command line and the console have in common."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine, Row

from schemas.problem import Problem
from worker.document.limits import Limits
from worker.document.validate import read
from worker.operate.hidden import Shown, show
from worker.operate.replay import can_be_replayed, problems_now, replay
from worker.store import dead
from worker.store.engine import writing


class LetterChanged(Exception):
    """Raised when a dead letter is not (any more) as whoever mends it saw it; the message says what it is now."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter with what is kept of its document."""

    row: Row[Any]
    kept: bytes
    """All of it, or of one beyond the size limit its beginning."""
    size: int
    """Bytes that were sent."""
    actions: list[Row[Any]]

    @property
    def raw(self) -> bytes | None:
        """The document; None where it was not kept whole, or none was sent."""
        return self.kept if self.row.raw_sha256 is not None and self.size == len(self.kept) else None

    @property
    def shown(self) -> Shown:
        return show(self.kept)

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


def letter(engine: Engine, id_: int) -> Letter | None:
    """The dead letter of a number, open or not."""
    with engine.connect() as connection:
        row = next(iter(dead.find(connection, dead.Filter(ids=(id_,), status=None))), None)
        if row is None:
            return None
        raw = dead.raw_of(connection, [row.raw_sha256]).get(row.raw_sha256)
        actions = dead.actions_of(connection, id_)
    return Letter(row, bytes(raw.bytes) if raw is not None else b"", int(raw.size) if raw is not None else 0, actions)


def check(found: Letter, text: bytes, limits: Limits) -> list[Problem]:
    """What a mended text would meet, errors and warnings. Pure."""
    return list(read(text, has_key=found.row.key is not None, limits=limits).problems)


def problems_of_replay(found: Letter, limits: Limits) -> list[Problem]:
    """The errors that a replay would meet as it is."""
    return problems_now(found.row, found.raw, limits)


def mend(engine: Engine, client: redis.Redis, found: Letter, text: bytes, who: str) -> bool:
    """Keep `text` in place of what was sent, and send it through the pipeline; returns whether it is another text.

    Raises LetterChanged when somebody else was faster, redis.RedisError and SQLAlchemy's errors.
    """
    is_edit = text != found.raw
    client.ping()  # while Redis is away nothing is kept or recorded
    with writing(engine) as connection:
        now = next(iter(dead.find(connection, dead.Filter(ids=(found.row.id,), status=None))), None)
        if now is None or now.status != "open":
            raise LetterChanged(f"it is {'gone' if now is None else now.status}")
        if now.raw_sha256 != found.row.raw_sha256:
            raise LetterChanged("somebody else has mended it meanwhile")
        if is_edit:
            dead.keep_edit(connection, found.row.id, text, hashlib.sha256(text).digest(), who)
    replay(engine, client, dead.Filter(ids=(found.row.id,)), who=who)
    return is_edit
