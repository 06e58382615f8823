"""What the tally's minutes come to: what went in and out, how fast, and what was rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.activity.minute_counters import Minute, total
from worker.settings import INTERNAL_LANE


@dataclass(slots=True)
class Flow:
    """What went through in a time. `seconds`: how long that was; rates are documents a second."""

    seconds: float
    added: int = 0
    settled: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_source: dict[str, Counter[str]] = field(default_factory=dict)
    """Source → outcome → documents."""
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(code of the first error, source) → documents."""

    @property
    def rate(self) -> float:
        return round(self.settled / self.seconds, 1) if self.seconds else 0.0


def flow(minutes: Sequence[Minute], before: Minute | None, *, seconds: float, lane: str | None = None) -> Flow:
    """The flow of `minutes`, of one lane or of all that producers write to. `before` is the minute before them."""
    found, sums = Flow(seconds), total(minutes)
    for (on, source, outcome), count in sums.outcomes.items():
        if on == lane or (lane is None and on != INTERNAL_LANE):
            found.settled += count
            found.outcomes[outcome] += count
            found.by_source.setdefault(source, Counter())[outcome] += count
    for (on, source, code), count in sums.codes.items():
        if on == lane or (lane is None and on != INTERNAL_LANE):
            found.rejected[code, source] += count
    found.added = _added(minutes, before, lane, found.settled)
    return found


def _added(minutes: Sequence[Minute], before: Minute | None, lane: str | None, settled: int) -> int:
    """The growth of the lanes' counters; where nobody sampled them before, what was settled came in too."""
    first = before.added if before is not None else {}
    last = total(minutes).added
    names = [name for name in last if name in first and lane in (None, name)]
    if not names:
        return settled
    # A counter that went back belongs to a server that lost its data.
    return sum(max(0, last[name] - first[name]) for name in names)


def drain_seconds(backlog: int, net_rate: float) -> float | None:
    """How long until the backlog is gone when it shrinks by `net_rate` a second; None: it does not get smaller."""
    if not backlog:
        return 0.0
    return round(backlog / net_rate, 1) if net_rate > 0 else None


def top(counts: Mapping[tuple[str, str], int], most: int) -> dict[str, int]:
    """`{"no_title from my-crawler": 3}`, the most frequent first; the rest is summed up."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    found = {f"{code} from {source}": count for (code, source), count in ranked[:most]}
    rest = sum(count for _, count in ranked[most:])
    return {**found, "others": rest} if rest else found


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time for a plot. `at`: seconds since 1970 at its beginning; `backlog`: documents that waited at its end."""

    at: int
    seconds: int
    added: int
    outcomes: Mapping[str, int]
    backlog: int

    @property
    def settled(self) -> int:
        return sum(self.outcomes.values())


def pieces(minutes: Sequence[Minute], *, width: int, count: int, backlog: int) -> list[Piece]:
    """The last `count` pieces of `width` minutes, of all lanes that producers write to, oldest first.

    The backlog of each is reckoned back from that of now by what went in and out: approximate as the tally is, never
    below nothing.
    """
    found: list[Piece] = []
    for end in range(len(minutes), 0, -width)[:count]:
        start = max(0, end - width)
        part = minutes[start:end]
        outcomes = _outcomes(part)
        settled = sum(outcomes.values())
        last = {name: number for minute in part for name, number in minute.added.items()}
        added = _growth(last, _sampled(minutes[:start]), settled)
        found.append(Piece(part[0].at, 60 * len(part), added, outcomes, max(0, backlog)))
        backlog += settled - added
    return found[::-1]


def _outcomes(minutes: Sequence[Minute]) -> dict[str, int]:
    """Outcome → documents. A day has a hundred thousand counts, and of each only this is wanted."""
    found: dict[str, int] = {}
    for minute in minutes:
        for (lane, _, outcome), count in minute.outcomes.items():
            if lane != INTERNAL_LANE:
                found[outcome] = found.get(outcome, 0) + count
    return found


def _growth(last: Mapping[str, int], before: Minute | None, settled: int) -> int:
    """What came in, by the lanes' counters; where nobody sampled them before, what was settled came in too."""
    first = before.added if before is not None else {}
    names = [name for name in last if name in first]
    if not names:
        # A piece in which nobody sampled saw nothing come, unless nobody ever has.
        return 0 if first and not last else settled
    return sum(max(0, last[name] - first[name]) for name in names)


def _sampled(minutes: Sequence[Minute]) -> Minute | None:
    """The last minute with samples: nobody samples while no worker is alive."""
    return next((minute for minute in reversed(minutes) if minute.added), None)
