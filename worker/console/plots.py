"""The overview's plots as coordinates for SVG: bars of settled documents, a line of the backlog. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.monitoring.rates import Piece

WIDTH, HEIGHT = 640, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 6, 10, 24
_TICKS = 4
_GAP = 0.25  # share of the space of a bar


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one interval: accepted documents below, rejected ones above. All in SVG units."""

    x: float
    width: float
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line or a time on the axis, with its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing of WIDTH by HEIGHT. `line` and `area` are SVG paths, empty in a plot of bars."""

    bars: tuple[Bar, ...]
    line: str
    area: str
    ys: tuple[Tick, ...]
    xs: tuple[Tick, ...]
    summary: str
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    base: float = HEIGHT - _BOTTOM


def throughput(pieces: Sequence[Piece]) -> Plot:
    """Plot the documents a minute that got an outcome, in each interval."""
    rates = [
        (60 * piece.settled / piece.seconds, 60 * piece.outcomes.get("rejected", 0) / piece.seconds) for piece in pieces
    ]
    top, step = scale(max((rate for rate, _ in rates), default=0.0))
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(pieces))
    bars = []
    for number, (piece, (rate, rejected)) in enumerate(zip(pieces, rates, strict=True)):
        high, bad = _height(rate, top), _height(rejected, top)
        if rejected and bad < 1.5:  # one rejected among thousands must be visible
            bad = min(1.5, high)
        y = HEIGHT - _BOTTOM - high
        label = f"{_time(piece.at)}: {piece.settled:,} documents, {piece.outcomes.get('rejected', 0):,} rejected"
        bars.append(
            Bar(
                x=round(_LEFT + place * (number + _GAP / 2), 2), width=round(place * (1 - _GAP), 2),
                good_y=round(y + bad, 2), good_height=round(high - bad, 2), bad_y=round(y, 2), bad_height=round(bad, 2),
                label=label,
            )
        )  # fmt: skip
    settled = sum(piece.settled for piece in pieces)
    rejected_all = sum(piece.outcomes.get("rejected", 0) for piece in pieces)
    summary = (
        f"{settled:,} documents got an outcome, {rejected_all:,} of them were rejected; "
        f"at most {max((rate for rate, _ in rates), default=0):,.0f} a minute."
    )
    return Plot(tuple(bars), "", "", _ys(top, step), _xs(pieces), summary)


def backlog(pieces: Sequence[Piece]) -> Plot:
    """Plot the documents that waited at the end of each interval."""
    most = max((piece.backlog for piece in pieces), default=0)
    top, step = scale(float(most))
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(pieces))
    points = [
        (round(_LEFT + place * (number + 0.5), 2), round(HEIGHT - _BOTTOM - _height(piece.backlog, top), 2))
        for number, piece in enumerate(pieces)
    ]
    line = "M" + " L".join(f"{x} {y}" for x, y in points) if points else ""
    area = f"{line} L{points[-1][0]} {HEIGHT - _BOTTOM} L{points[0][0]} {HEIGHT - _BOTTOM} Z" if points else ""
    now = pieces[-1].backlog if pieces else 0
    return Plot(
        (), line, area, _ys(top, step), _xs(pieces), f"{now:,} documents wait now; the most in this time was {most:,}."
    )


def scale(most: float) -> tuple[float, float]:
    """Return the top of an axis that contains `most`, and its step (1, 2 or 5 times a power of ten); at most four
    steps.
    """
    step, factors, number = 1.0, (2.0, 2.5, 2.0), 0
    while step * _TICKS < most:
        step *= factors[number % 3]
        number += 1
    steps = max(1, -(-most // step))
    return step * steps, step


def _height(value: float, top: float) -> float:
    return (HEIGHT - _TOP - _BOTTOM) * min(1.0, value / top)


def _ys(top: float, step: float) -> tuple[Tick, ...]:
    count = round(top / step)
    return tuple(Tick(round(HEIGHT - _BOTTOM - _height(step * n, top), 2), _short(step * n)) for n in range(count + 1))


def _xs(pieces: Sequence[Piece]) -> tuple[Tick, ...]:
    """Return about six times along the width."""
    every = max(1, -(-len(pieces) // 6))
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(pieces))
    return tuple(
        Tick(round(_LEFT + place * (number + 0.5), 2), _time(piece.at))
        for number, piece in enumerate(pieces)
        if number % every == every // 2
    )


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def _short(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
