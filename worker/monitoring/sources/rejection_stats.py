"""The share of rejected documents of each source, since when it is higher, and its causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from worker.store.sources import rejection_counts

_PIECES = 96
"""Number of intervals of a window: a day is divided into quarters of an hour."""
_MIN_RISE = 0.05
"""A smaller rise of the share is ignored."""
_MAX_WITH_ONSET = 50
"""Limit of the sources whose onset is computed."""
_FINER = 60
"""Number of finer intervals of one interval: a quarter of an hour is divided into 15 seconds each."""
_CHI_SQUARE = 10.8
"""Threshold of the chi-square statistic of a 2×2 table: chance exceeds it once in a thousand.

It rejects a rise that is seen in few documents only.
"""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why documents of a source were rejected. `example`: the number of a dead letter."""

    code: str
    documents: int
    first_at: datetime
    last_at: datetime
    example: int


@dataclass(slots=True)
class SourceStats:
    """A source in a window. `since`: the first rejected document from which on its share is higher."""

    source: str
    documents: int = 0
    rejected: int = 0
    since: datetime | None = None
    share_before: float | None = None
    causes: list[Cause] = field(default_factory=list)

    @property
    def share(self) -> float:
        return round(self.rejected / self.documents, 4) if self.documents else 0.0


def source_stats(engine: Engine, *, hours: float, now: datetime | None = None) -> list[SourceStats]:
    """Return the sources with documents in the last `hours`, the most rejected first."""
    now = now or datetime.now(UTC)
    since = now - timedelta(hours=hours)
    width = max(60, int(hours * 3600 / _PIECES))
    sources: dict[str, SourceStats] = {}
    pieces: dict[str, list[tuple[int, int, int]]] = {}
    with engine.connect() as connection:
        for row in rejection_counts.by_source_and_time(connection, since, width):
            source = sources.setdefault(row.source, SourceStats(row.source))
            source.documents += row.documents
            source.rejected += row.rejected
            pieces.setdefault(row.source, []).append((row.at, row.documents, row.rejected))
        for row in rejection_counts.causes(connection, since):
            if row.source in sources:
                sources[row.source].causes.append(Cause(row.code, row.documents, row.first, row.last, row.example))
        ranked = sorted(sources.values(), key=lambda source: (-source.rejected, source.source))
        for source in ranked[:_MAX_WITH_ONSET]:
            if source.rejected:
                start, source.share_before = _onset(connection, source.source, pieces[source.source], width)
                seconds = int(now.timestamp() - start) + 60
                source.since = rejection_counts.first_rejected(connection, source.source, start, seconds)
    return ranked


def _onset(
    connection: Connection, source: str, pieces: list[tuple[int, int, int]], width: int
) -> tuple[int, float | None]:
    """Refine the result of `onset` to the finer intervals around it."""
    start, before = onset(pieces)
    since, until = (datetime.fromtimestamp(at, UTC) for at in (start - width, start + width))
    rows = rejection_counts.by_source_and_time(connection, since, max(1, width // _FINER), until=until, source=source)
    finer = [(row.at, row.documents, row.rejected) for row in rows]
    if not finer:
        return start, before
    exact, rose_from = onset(finer)
    if rose_from is None or _chi_square(finer, exact) < _CHI_SQUARE:
        return start, before
    earlier = [piece for piece in pieces if piece[0] < start - width] + [piece for piece in finer if piece[0] < exact]
    documents, rejected = (sum(piece[number] for piece in earlier) for number in (1, 2))
    return exact, round(rejected / documents, 4) if documents else None


def _chi_square(pieces: Sequence[tuple[int, int, int]], split: int) -> float:
    """Return how much the shares before and after `split` differ (Pearson's statistic, one degree of freedom)."""
    earlier, later = (
        [sum(piece[number] for piece in pieces if (piece[0] >= split) is side) for number in (1, 2)]
        for side in (False, True)
    )
    documents, share = earlier[0] + later[0], (earlier[1] + later[1]) / (earlier[0] + later[0])
    if not earlier[0] or not later[0] or share in (0.0, 1.0):
        return 0.0
    rise = later[1] / later[0] - earlier[1] / earlier[0]
    return earlier[0] * later[0] / documents * rise * rise / (share * (1 - share))


def onset(pieces: Sequence[tuple[int, int, int]]) -> tuple[int, float | None]:
    """Return when the share of rejected documents rose, and the share before.

    `pieces`: (at, documents, rejected) by time.

    It is the split with the largest variance between its two sides (n1·n2/(n1+n2)·(p2-p1)², as in binary segmentation,
    Scott and Knott 1974) whose later side is the worse. Without a rise it returns the first interval's time and None.
    """
    all_documents, all_rejected = (sum(piece[number] for piece in pieces) for number in (1, 2))
    best, split, before = 0.0, 0, None
    documents = rejected = 0
    for number, (_, count, bad) in enumerate(pieces[:-1], 1):
        documents, rejected = documents + count, rejected + bad
        later = all_documents - documents
        rise = (all_rejected - rejected) / later - rejected / documents
        gain = documents * later / all_documents * rise * rise
        if rise >= _MIN_RISE and gain > best:
            best, split, before = gain, number, rejected / documents
    if before is not None:
        # The rise began somewhere within the interval before, if that one is worse than those before it.
        _, count, bad = pieces[split - 1]
        earlier = [sum(piece[part] for piece in pieces[: split - 1]) for part in (1, 2)]
        if bad and earlier[0] and bad / count > earlier[1] / earlier[0] + _MIN_RISE:
            split, before = split - 1, earlier[1] / earlier[0]
    return pieces[split][0], None if before is None else round(before, 4)
