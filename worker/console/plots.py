"""The overview's plots as coordinates for SVG: bars of settled documents, a line of the backlog. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.monitoring.rates import Interval

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


def throughput(intervals: Sequence[Interval]) -> Plot:
    """Plot the documents a minute that got an outcome, in each interval."""
    rates = [
        (60 * interval.settled / interval.seconds, 60 * interval.outcomes.get("rejected", 0) / interval.seconds)
        for interval in intervals
    ]
    top, step = scale(max((rate for rate, _ in rates), default=0.0))
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(intervals))
    bars = []
    for number, (interval, (rate, rejected)) in enumerate(zip(intervals, rates, strict=True)):
        high, bad = _height(rate, top), _height(rejected, top)
        if rejected and bad < 1.5:  # one rejected among thousands must be visible
            bad = min(1.5, high)
        y = HEIGHT - _BOTTOM - high
        label = (
            f"{_time(interval.at)}: {interval.settled:,} documents, {interval.outcomes.get('rejected', 0):,} rejected"
        )
        bars.append(
            Bar(
                x=round(_LEFT + place * (number + _GAP / 2), 2),
                width=round(place * (1 - _GAP), 2),
                good_y=round(y + bad, 2),
                good_height=round(high - bad, 2),
                bad_y=round(y, 2),
                bad_height=round(bad, 2),
                label=label,
            )
        )
    settled = sum(interval.settled for interval in intervals)
    rejected_all = sum(interval.outcomes.get("rejected", 0) for interval in intervals)
    summary = (
        f"{settled:,} documents got an outcome, {rejected_all:,} of them were rejected; "
        f"at most {max((rate for rate, _ in rates), default=0):,.0f} a minute."
    )
    return Plot(tuple(bars), "", "", _ys(top, step), _xs(intervals), summary)


def backlog(intervals: Sequence[Interval]) -> Plot:
    """Plot the documents that waited at the end of each interval."""
    highest = max((interval.backlog for interval in intervals), default=0)
    top, step = scale(float(highest))
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(intervals))
    points = [
        (round(_LEFT + place * (number + 0.5), 2), round(HEIGHT - _BOTTOM - _height(interval.backlog, top), 2))
        for number, interval in enumerate(intervals)
    ]
    line = "M" + " L".join(f"{x} {y}" for x, y in points) if points else ""
    area = f"{line} L{points[-1][0]} {HEIGHT - _BOTTOM} L{points[0][0]} {HEIGHT - _BOTTOM} Z" if points else ""
    now = intervals[-1].backlog if intervals else 0
    return Plot(
        (),
        line,
        area,
        _ys(top, step),
        _xs(intervals),
        f"{now:,} documents wait now; at most {highest:,} waited in this time.",
    )


def scale(highest: float) -> tuple[float, float]:
    """Return the top of an axis that contains `highest`, and its step (1, 2 or 5 times a power of ten); at most four
    steps.
    """
    step, factors, number = 1.0, (2.0, 2.5, 2.0), 0
    while step * _TICKS < highest:
        step *= factors[number % 3]
        number += 1
    steps = max(1, -(-highest // step))
    return step * steps, step


def _height(value: float, top: float) -> float:
    return (HEIGHT - _TOP - _BOTTOM) * min(1.0, value / top)


def _ys(top: float, step: float) -> tuple[Tick, ...]:
    count = round(top / step)
    return tuple(Tick(round(HEIGHT - _BOTTOM - _height(step * n, top), 2), _short(step * n)) for n in range(count + 1))


def _xs(intervals: Sequence[Interval]) -> tuple[Tick, ...]:
    """Return about six times along the width."""
    every = max(1, -(-len(intervals) // 6))
    place = (WIDTH - _LEFT - _RIGHT) / max(1, len(intervals))
    return tuple(
        Tick(round(_LEFT + place * (number + 0.5), 2), _time(interval.at))
        for number, interval in enumerate(intervals)
        if number % every == every // 2
    )


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def _short(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
