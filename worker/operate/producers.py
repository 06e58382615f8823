"""Which crawler sends what share of rejected documents, since when, and for what causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from worker.store import shares

_PIECES = 96
"""A window is looked at in so many pieces: a day in quarters of an hour."""
_LEAST_RISE = 0.05
"""A share that rises by less is no beginning of anything."""
_MOST_LOOKED_UP = 50


@dataclass(slots=True)
class Producer:
    """A source in a window. `since`: the first rejected document of the time from which its share is higher."""

    source: str
    documents: int = 0
    rejected: int = 0
    since: datetime | None = None
    share_before: float | None = None
    causes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def share(self) -> float:
        return round(self.rejected / self.documents, 4) if self.documents else 0.0


def producers(engine: Engine, *, hours: float, now: datetime | None = None) -> list[Producer]:
    """Those that sent something in the last `hours`, the most rejected first."""
    now = now or datetime.now(UTC)
    since = now - timedelta(hours=hours)
    width = max(60, int(hours * 3600 / _PIECES))
    found: dict[str, Producer] = {}
    pieces: dict[str, list[tuple[int, int, int]]] = {}
    with engine.connect() as connection:
        for row in shares.by_source_and_time(connection, since, width):
            producer = found.setdefault(row.source, Producer(row.source))
            producer.documents += row.documents
            producer.rejected += row.rejected
            pieces.setdefault(row.source, []).append((row.at, row.documents, row.rejected))
        for row in shares.causes(connection, since):
            if row.source in found:
                found[row.source].causes.append(
                    {"code": row.code, "documents": row.documents, "first_at": row.first, "last_at": row.last,
                     "example": row.example}
                )  # fmt: skip
        ranked = sorted(found.values(), key=lambda producer: (-producer.rejected, producer.source))
        for producer in ranked[:_MOST_LOOKED_UP]:
            if producer.rejected:
                start, producer.share_before = onset(pieces[producer.source])
                producer.since = shares.first_rejected(
                    connection, producer.source, start, int(now.timestamp() - start) + 60
                )
    return ranked


def onset(pieces: Sequence[tuple[int, int, int]]) -> tuple[int, float | None]:
    """Where the share of rejected documents rose, of pieces (at, documents, rejected) by time; and the share before.

    The split with the largest variance between its two sides (n1·n2/(n1+n2)·(p2-p1)², as in binary segmentation, Scott
    and Knott 1974), where the later side is the worse. None: it was so from the beginning.
    """
    all_documents, all_rejected = (sum(piece[number] for piece in pieces) for number in (1, 2))
    best, split, before = 0.0, 0, None
    documents = rejected = 0
    for number, (_, count, bad) in enumerate(pieces[:-1], 1):
        documents, rejected = documents + count, rejected + bad
        later = all_documents - documents
        rise = (all_rejected - rejected) / later - rejected / documents
        gain = documents * later / all_documents * rise * rise
        if rise >= _LEAST_RISE and gain > best:
            best, split, before = gain, number, rejected / documents
    if before is not None:
        # It began somewhere within the piece before, where that one is worse than those before it.
        _, count, bad = pieces[split - 1]
        earlier = [sum(piece[part] for piece in pieces[: split - 1]) for part in (1, 2)]
        if bad and earlier[0] and bad / count > earlier[1] / earlier[0] + _LEAST_RISE:
            split, before = split - 1, earlier[1] / earlier[0]
    return pieces[split][0], None if before is None else round(before, 4)
