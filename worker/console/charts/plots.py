"""Plots as coordinates for SVG: bars and lines over time. No I/O.

An interval shows the maximum of its minutes, so that a peak is as high at every zoom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from worker.monitoring.rates import Interval
from worker.monitoring.stage_times import Slice, StageTimes
from worker.telemetry.durations import duration_text


class Span(Protocol):
    """An interval of time: its start in seconds since 1970, and its length in seconds."""

    @property
    def at(self) -> int: ...
    @property
    def seconds(self) -> int: ...


Part = TypeVar("Part", bound=Span)

WIDTH, HEIGHT = 640, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 24
_LABEL = 26
"""Half of the width of a time in the largest letters, those of a phone."""
_TICKS = 4
_GAP = 0.25  # share of the space of a bar
_ROUND_SECONDS = (300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MAX_TIMES = 7
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one interval, in SVG units."""

    x: float
    width: float
    y: float
    height: float
    label: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its name, and SVG paths of the line and of the area below it (empty: none)."""

    name: str
    path: str
    area: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line or a time on the axis, with its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing of WIDTH by HEIGHT. `summary`: what it shows, as a sentence."""

    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    ys: tuple[Tick, ...]
    xs: tuple[Tick, ...]
    summary: str
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    base: float = HEIGHT - _BOTTOM


def throughput(intervals: Sequence[Interval]) -> Plot:
    """Plot the documents that got an outcome in the busiest minute of each interval."""
    settled = sum(one.settled for one in intervals)
    highest = max((one.busiest for one in intervals), default=0)
    summary = f"{_counted(settled)} got an outcome; at most {highest:,} a minute."
    return _bars(intervals, [one.busiest for one in intervals], summary, _busiest)


def _busiest(one: Interval) -> str:
    return f"{_counted(one.settled)}, at most {one.busiest:,} a minute"


def rejected(intervals: Sequence[Interval]) -> Plot:
    """Plot the documents that were rejected in the worst minute of each interval."""
    count = sum(one.outcomes.get("rejected", 0) for one in intervals)
    settled = sum(one.settled for one in intervals)
    highest = max((one.most_rejected for one in intervals), default=0)
    share = f", {count / settled:.1%} of all" if settled and count else ""
    summary = f"{_counted(count)} rejected{share}; at most {highest:,} a minute."
    return _bars(intervals, [one.most_rejected for one in intervals], summary, _rejected, lambda _: True)


def _rejected(one: Interval) -> str:
    return f"{one.outcomes.get('rejected', 0):,} rejected, at most {one.most_rejected:,} a minute"


def backlog(intervals: Sequence[Interval]) -> Plot:
    """Plot the most documents that waited at one time in each interval."""
    values = [None if one.longest is None else float(one.longest) for one in intervals]
    highest = max((value for value in values if value is not None), default=0.0)
    now = (intervals[-1].backlog if intervals else 0) or 0
    summary = f"{_counted(now)} wait{'s' if now == 1 else ''} now; at most {highest:,.0f} waited in this time."
    return _lines(intervals, [("waiting", values)], summary, has_area=True)


def latency(slices: Sequence[Slice]) -> Plot:
    """Plot the seconds from arrival to outcome: of half of the documents, and of 99 of 100."""
    known = [one.waits for one in slices if one.waits is not None]
    worst = max((slow for _, slow in known), default=0.0)
    summary = (
        f"99 of 100 documents took at most {duration_text(worst)} in the slowest minute."
        if known
        else "No document yet."
    )
    series = [
        ("half of the documents", [one.waits[0] if one.waits else None for one in slices]),
        ("99 of 100", [one.waits[1] if one.waits else None for one in slices]),
    ]
    return _lines(slices, series, summary)


def stage(slices: Sequence[Slice], times: StageTimes) -> Plot:
    """Plot the milliseconds that a stage took of a batch, in the slowest minute of each interval. A slow period is marked."""
    name, slow = times.stage, times.slow
    return _bars(
        slices, [one.stages.get(name, 0.0) for one in slices], f"At most {times.longest:,.1f} ms a batch.",
        lambda one: f"{one.stages.get(name, 0.0):,.1f} ms a batch, {one.batches:,} batch{'' if one.batches == 1 else 'es'}",
        lambda one: slow is not None and slow.begin <= one.at < slow.end,
    )  # fmt: skip


def _bars(
    parts: Sequence[Part],
    values: Sequence[float],
    summary: str,
    words: Callable[[Part], str],
    is_bad: Callable[[Part], bool] = lambda _: False,
) -> Plot:
    top, step = scale(max(values, default=0.0))
    bars = []
    for number, (part, value) in enumerate(zip(parts, values, strict=True)):
        # One rejected among thousands must be visible.
        height = max(1.5, _height(value, top)) if value else 0.0
        begin, end = _x(parts, number), _x(parts, number + 1)
        gap = (end - begin) * _GAP
        bars.append(
            Bar(
                x=round(begin + gap / 2, 2),
                width=round(end - begin - gap, 2),
                y=round(HEIGHT - _BOTTOM - height, 2),
                height=round(height, 2),
                label=f"{_span(part)}: {words(part)}",
                is_bad=is_bad(part),
            )
        )
    return Plot(tuple(bars), (), _ys(top, step), time_ticks(parts), summary)


def _lines(
    parts: Sequence[Span], series: Sequence[tuple[str, Sequence[float | None]]], summary: str, *, has_area: bool = False
) -> Plot:
    top, step = scale(max((value for _, every in series for value in every if value is not None), default=0.0))
    lines = []
    for name, values in series:
        path, area = "", ""
        run: list[tuple[float, float]] = []
        for number, value in enumerate([*values, None]):
            if value is not None:
                middle = (_x(parts, number) + _x(parts, number + 1)) / 2
                run.append((round(middle, 2), round(HEIGHT - _BOTTOM - _height(value, top), 2)))
            elif run:
                # A lone point is drawn as a short stroke, or nobody would see it.
                points = run if len(run) > 1 else [(run[0][0] - 2, run[0][1]), (run[0][0] + 2, run[0][1])]
                drawn = "M" + " L".join(f"{x} {y}" for x, y in points)
                base = HEIGHT - _BOTTOM
                path += drawn
                area += f"{drawn} L{points[-1][0]} {base} L{points[0][0]} {base} Z" if has_area else ""
                run = []
        lines.append(Line(name, path, area))
    return Plot((), tuple(lines), _ys(top, step), time_ticks(parts), summary)


def scale(highest: float) -> tuple[float, float]:
    """Return the top of an axis that contains `highest`, and its step (1, 2 or 5 times a power of ten); at most four
    steps.
    """
    step, factors, number = 1.0, (2.0, 2.5, 2.0), 0
    if 0 < highest < 1:
        while step * _TICKS > highest * 10:
            step /= 10
    while step * _TICKS < highest:
        step *= factors[number % 3]
        number += 1
    steps = max(1, -(-highest // step))
    return step * steps, step


def time_ticks(parts: Sequence[Span]) -> tuple[Tick, ...]:
    """Return at most seven round times (UTC): whole hours, quarters, days. None is so near to an edge that it is cut off."""
    if not parts:
        return ()
    begin, end = parts[0].at, parts[-1].at + parts[-1].seconds
    step = next((step for step in _ROUND_SECONDS if (end - begin) / step <= _MAX_TIMES), 7 * _DAY)
    first = -(-begin // step) * step
    width = WIDTH - _LEFT - _RIGHT
    ticks = (
        Tick(round(_LEFT + width * (at - begin) / max(1, end - begin), 2), _time(at, is_day=step >= _DAY))
        for at in range(first, end + 1, step)
    )
    return tuple(tick for tick in ticks if _LEFT + _LABEL - 8 <= tick.at <= WIDTH - _LABEL)


def _x(parts: Sequence[Span], number: int) -> float:
    """Return where the interval of this number begins. The first one may be shorter than the others."""
    begin, end = parts[0].at, parts[-1].at + parts[-1].seconds
    at = end if number >= len(parts) else parts[number].at
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (at - begin) / max(1, end - begin)


def _height(value: float, top: float) -> float:
    return (HEIGHT - _TOP - _BOTTOM) * min(1.0, value / top)


def _ys(top: float, step: float) -> tuple[Tick, ...]:
    count = round(top / step)
    return tuple(Tick(round(HEIGHT - _BOTTOM - _height(step * n, top), 2), _short(step * n)) for n in range(count + 1))


def _span(part: Span) -> str:
    day = f"{_time(part.at, is_day=True)}, " if part.seconds >= 3600 else ""
    return _time(part.at) if part.seconds <= 60 else f"{day}{_time(part.at)} to {_time(part.at + part.seconds)}"


def _time(at: int, *, is_day: bool = False) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a %d" if is_day else "%H:%M")


def _counted(count: int) -> str:
    return f"{count:,} document{'' if count == 1 else 's'}"


def _short(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
