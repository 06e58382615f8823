"""The paused sources of a lane with what waits of each, as data and as sentences for operators."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from worker.queue.pauses.lane_pauses import Pause
from worker.queue.pauses.source_pauses import paused_sources

_MAX_SENTENCES = 10


@dataclass(frozen=True, slots=True)
class SourcePauseStatus:
    """Who paused a source on a lane, why, and how long ago. `documents`: its entries that wait.

    Entries that nobody has read yet are not counted. `by` is `operator` or `breaker`.
    """

    source: str
    documents: int
    who: str
    why: str
    by: str
    seconds: float | None


def read_source_pauses(
    client: redis.Redis, lane: str, waiting: Mapping[str, int], now: float
) -> tuple[SourcePauseStatus, ...]:
    """Return the paused sources of a lane, the one with the most documents first. Raises redis.RedisError.

    `waiting`: paused source → its entries, from `LeaseQueue.counts` or `state`. `now`: in seconds since 1970.
    """
    pauses = [
        SourcePauseStatus(source, waiting.get(source, 0), pause.who, pause.why, pause.by, _age(pause, now))
        for source, pause in paused_sources(client, lane).items()
    ]
    return tuple(sorted(pauses, key=lambda one: (-one.documents, one.source)))


def source_pause_sentences(lane: str, pauses: Sequence[SourcePauseStatus]) -> list[tuple[str, str]]:
    """Return (source, sentence) of the first ten pauses, and one sentence with an empty source that counts the others."""
    sentences = [
        (
            one.source,
            f"Source {one.source} of lane {lane} is paused by {one.who} ({one.why}), {one.documents:,} of its documents "
            f"wait: {resume_command(lane, one.source)}",
        )
        for one in pauses[:_MAX_SENTENCES]
    ]
    if len(pauses) > _MAX_SENTENCES:
        more = f"{len(pauses) - _MAX_SENTENCES:,} more sources of lane {lane} are paused: copydesk lane list"
        sentences.append(("", more))
    return sentences


def resume_command(lane: str, source: str) -> str:
    """Return the command that resumes a source."""
    return f"copydesk lane resume {lane} --source {shlex.quote(source)}"


def _age(pause: Pause, now: float) -> float | None:
    return round(max(0.0, now - pause.at), 1) if pause.at else None
