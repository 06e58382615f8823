"""The trend of a source as coordinates for SVG. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.console.charts.plots import Tick
from worker.queries.sources.source_activity import Piece

WIDTH, HEIGHT = 640, 140
_BASE = 120
_TOP = 10
_LABEL = 30
"""Half of the width of a day in the largest letters."""


@dataclass(frozen=True, slots=True)
class TrendBar:
    """A bar: accepted documents below, rejected ones above. In SVG units."""

    x: float
    width: float
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float
    label: str


def trend_days(pieces: Sequence[Piece]) -> list[Tick]:
    """Return where the days begin (UTC), but not at an edge."""
    place = WIDTH / max(1, len(pieces))
    begins = [
        number for number, piece in enumerate(pieces) if number and piece.at.date() != pieces[number - 1].at.date()
    ]
    days = [Tick(round(place * number, 2), f"{pieces[number].at:%a %d}") for number in begins]
    return [day for day in days if _LABEL <= day.at <= WIDTH - _LABEL]


def trend_bars(pieces: Sequence[Piece]) -> list[TrendBar]:
    """Return a bar for each piece with documents; the highest fills the drawing."""
    most = max((piece.documents for piece in pieces), default=0)
    if not most:
        return []
    place = WIDTH / len(pieces)
    bars = []
    for number, piece in enumerate(pieces):
        if not piece.documents:
            continue
        high = max(1.5, (_BASE - _TOP) * piece.documents / most)
        bad = min(high, max(1.5, high * piece.rejected / piece.documents)) if piece.rejected else 0.0
        bars.append(
            TrendBar(
                x=round(place * number + place / 8, 2),
                width=round(place * 0.75, 2),
                good_y=round(_BASE - high + bad, 2),
                good_height=round(high - bad, 2),
                bad_y=round(_BASE - high, 2),
                bad_height=round(bad, 2),
                label=f"{piece.at:%Y-%m-%d %H:%M}: {piece.documents:,} documents, {piece.rejected:,} rejected",
            )
        )
    return bars
