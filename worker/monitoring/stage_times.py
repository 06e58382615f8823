"""Where time goes: how long each stage of a batch takes, how long documents wait, and which stage became slow, and when.

Computed from the counters by minute and by hour. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from worker.activity.minute_counters import WAIT_BOUNDS, Maxima, Minute

STAGES = {
    "open": "Open the entries: their fields and size limits",
    "recognise": "Look up which documents are known in the store",
    "read": "Read the documents: parse, validate, enrich",
    "prepare": "Make the rows that depend on one document alone, before the writer lock",
    "turn": "Send the raw documents and wait for the writer lock, while another batch writes",
    "store": "Load, decide and send the first changes, with the writer lock",
    "commit": "Write the other changes and commit",
}
"""Stage → what happens in it, in the order of a batch."""

SPANS = {"hour": (60, 1), "day": (1440, 15), "week": (168, 2)}
"""Span → how many minutes (for the week: hours), and how many of them are one interval."""

BATCH, DOCUMENT, WAIT = "batch", "document", "wait"
"""Kinds of the maxima that an hour keeps of its minutes: of a stage, milliseconds a batch and a document; seconds of waiting."""
_WAITS = {"half": 0.5, "most": 0.99}

_SLOW_FACTOR = 2.0
_SLOW_MS = 5.0
"""A stage is slow if a batch takes twice as long as usual, and so does a document: batches differ in size."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One interval. `stages`: stage → milliseconds a batch in its slowest minute; `waits`: seconds from arrival to outcome that
    half of the documents, and 99 of 100, did not exceed, each in its slowest minute; None without documents.
    """

    at: int
    seconds: int
    batches: int
    documents: int
    stages: dict[str, float]
    per_document: dict[str, float]
    waits: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class SlowPeriod:
    """The time in which a stage was slow: from `begin` to `end` in seconds since 1970, `peak` in milliseconds a batch."""

    begin: int
    end: int
    peak: float
    is_now: bool


@dataclass(frozen=True, slots=True)
class StageTimes:
    """The times of a stage, in milliseconds a batch: usual (the median), of the last interval with work, the longest."""

    stage: str
    words: str
    usual: float
    last: float
    longest: float
    slow: SlowPeriod | None


def of_lane(part: Minute, lane: str) -> Minute:
    """Return the counters of one lane that the times are computed from."""
    one = Minute(part.at)
    one.batches[lane] = part.batches[lane]
    one.outcomes.update({key: count for key, count in part.outcomes.items() if key[0] == lane})
    one.stages_ms.update({key: spent for key, spent in part.stages_ms.items() if key[0] == lane})
    one.waits.update({key: count for key, count in part.waits.items() if key[0] == lane})
    one.maxima = {(what, "", name): value for (what, on, name), value in part.maxima.items() if on == lane}
    return one


def intervals_of(span: str, parts: Sequence[Minute], lane: str | None = None) -> list[Slice]:
    """Return the intervals of a span of `SPANS`, of all lanes or one. `parts`: its minutes, or the hours of a week."""
    own = [of_lane(part, lane) for part in parts] if lane else parts
    return slices(own, width=SPANS[span][1], seconds=3600 if span == "week" else 60)


def slices(parts: Sequence[Minute], *, width: int, seconds: int) -> list[Slice]:
    """Return intervals of `width` parts, oldest first. `seconds`: the length of a part, which is a minute or an hour."""
    first = len(parts) % width
    starts = [*([0] if first else []), *range(first, len(parts), width)]
    ends = [*starts[1:], len(parts)]
    return [_slice(parts[start:end], seconds) for start, end in zip(starts, ends, strict=True)]


def _slice(parts: Sequence[Minute], seconds: int) -> Slice:
    times = [times_of(part) for part in parts]
    batches, documents = (sum(getattr(one, name) for one in times) for name in ("batches", "documents"))
    waits = [one.waits for one in times if one.waits is not None]
    slowest = (max(one[0] for one in waits), max(one[1] for one in waits)) if waits else None
    per_batch, per_document = (_largest(getattr(one, name) for one in times) for name in ("stages", "per_document"))
    return Slice(parts[0].at, seconds * len(parts), batches, documents, per_batch, per_document, slowest)


def _largest(values: Iterable[Mapping[str, float]]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for one in values:
        for name, value in one.items():
            largest[name] = max(value, largest.get(name, 0.0))
    return largest


@dataclass(frozen=True, slots=True)
class PartTimes:
    """The times of one minute; of an hour those of its slowest minute. The fields are those of `Slice`."""

    batches: int
    documents: int
    stages: dict[str, float]
    per_document: dict[str, float]
    waits: tuple[float, float] | None


def times_of(part: Minute) -> PartTimes:
    """Return the times of a minute or of an hour, of all its lanes."""
    batches, documents = sum(part.batches.values()), part.documents()
    counts = [0] * (len(WAIT_BOUNDS) + 1)
    for (_, place), waited in part.waits.items():
        counts[place] += waited
    waits = {name: quantile(counts, share) for name, share in _WAITS.items()} if sum(counts) else {}
    spent = _stages(part) if batches and documents else {}
    per_batch = {stage: ms / batches for stage, ms in spent.items()}
    per_document = {stage: ms / documents for stage, ms in spent.items()}
    for (what, lane, name), value in part.maxima.items():
        known = {BATCH: per_batch, DOCUMENT: per_document, WAIT: waits}.get(what)
        if known is not None and not lane:
            known[name] = max(value, known.get(name, 0.0))
    both = (waits["half"], waits["most"]) if len(waits) == len(_WAITS) else None
    return PartTimes(batches, documents, per_batch, per_document, both)


def maxima_of(minute: Minute) -> dict[Maxima, float]:
    """Return the times of a minute, of all lanes together (the lane is empty) and of each, for its hour to keep."""
    found: dict[Maxima, float] = {}
    for lane in ("", *minute.batches):
        times = times_of(of_lane(minute, lane) if lane else minute)
        found |= {(BATCH, lane, stage): ms for stage, ms in times.stages.items()}
        found |= {(DOCUMENT, lane, stage): ms for stage, ms in times.per_document.items()}
        if times.waits is not None:
            found |= {(WAIT, lane, name): seconds for name, seconds in zip(_WAITS, times.waits, strict=True)}
    return found


def _stages(part: Minute) -> dict[str, float]:
    """Return stage → milliseconds. The stage `write` of the counters contains all from `prepare` on."""
    sums: dict[str, float] = {}
    for (_, stage), spent in part.stages_ms.items():
        sums[stage] = sums.get(stage, 0.0) + spent
    written = sums.pop("write", 0.0)
    sums["commit"] = max(0.0, written - sum(sums.get(stage, 0.0) for stage in ("prepare", "turn", "store")))
    return {stage: sums.get(stage, 0.0) for stage in STAGES}


def quantile(counts: Sequence[int], share: float) -> float:
    """Return the wait in seconds that `share` of the documents do not exceed, from counts of WAIT_BOUNDS.

    It is interpolated within its bucket, as Prometheus does; beyond the last bound it is that bound.
    """
    target, before = share * sum(counts), 0
    for place, count in enumerate(counts):
        if count and before + count >= target:
            if place == len(WAIT_BOUNDS):
                return WAIT_BOUNDS[-1]
            low = WAIT_BOUNDS[place - 1] if place else 0.0
            return low + (WAIT_BOUNDS[place] - low) * (target - before) / count
        before += count
    return 0.0


def stage_times(intervals: Sequence[Slice]) -> list[StageTimes]:
    """Return the times of each stage: first those that are slow now, then those that were, by the time lost; then the longest."""
    worked = [one for one in intervals if one.stages]
    if not worked:
        return []
    found = []
    for stage, words in STAGES.items():
        values = [one.stages[stage] for one in worked]
        found.append(StageTimes(stage, words, median(values), values[-1], max(values), _slow_period(stage, worked)))
    return sorted(found, key=_order)


def _order(one: StageTimes) -> tuple[bool, bool, float]:
    if one.slow is None:
        return True, True, -one.usual
    return False, not one.slow.is_now, one.usual - one.slow.peak


def _slow_period(stage: str, worked: Sequence[Slice]) -> SlowPeriod | None:
    """Return the period in which a stage lost most time; None if it was never slow."""
    batch_limit = _limit([one.stages[stage] for one in worked], _SLOW_MS)
    document_limit = _limit([one.per_document[stage] for one in worked], 0.0)
    periods: list[list[Slice]] = []
    is_open = False
    for one in worked:
        is_slow = one.stages[stage] > batch_limit and one.per_document[stage] > document_limit
        if is_slow and is_open:
            periods[-1].append(one)
        elif is_slow:
            periods.append([one])
        is_open = is_slow
    if not periods:
        return None
    worst = max(periods, key=lambda period: sum(one.stages[stage] * one.batches for one in period))
    last = worst[-1]
    return SlowPeriod(worst[0].at, last.at + last.seconds, max(one.stages[stage] for one in worst), last is worked[-1])


def _limit(values: Sequence[float], floor: float) -> float:
    """Return the value above which a stage is slow: twice the lower quartile, for a stage may be slow half of the time."""
    ordered = sorted(values)
    usual = ordered[len(ordered) // 4]
    return max(_SLOW_FACTOR * usual, usual + floor)
