"""An alarm of a source as data and as a sentence for operators. Pure: no I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from worker.store.sources.source_hours import EVERYTHING
from worker.telemetry.durations import duration_text

MAX_SENTENCES = 10
Kind = Literal["silent", "low", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAlarm:
    """What is unusual about a source, or about a site (a provider's domain) of it; an empty `site`: about all of it.

    The pair EVERYTHING stands for all sources together.

    Gaps are in seconds, `since` in seconds since 1970. A field that does not belong to the kind is None.
    """

    kind: Kind
    source: str
    site: str = ""
    since: float
    documents: int | None = None
    """Of a silent source: expected since it is silent. Else: received, in 24 hours or lately."""
    expected: int | None = None
    """Of a low source: the documents of its poorest day in four weeks."""
    rejected: int | None = None
    usual_share: float | None = None
    """The share that was rejected before; None: it is not known."""
    usual_gap: float | None = None
    long_gap: float | None = None
    longest_gap: float | None = None
    gaps: int | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.source, self.site

    @property
    def is_of_all(self) -> bool:
        """Whether it is about all sources together."""
        return (self.source, self.site) == EVERYTHING

    @property
    def name(self) -> str:
        """The source, and its site if it is about one."""
        name = f"Source {self.source or '(none)'}"
        return f"{name}, site {self.site}," if self.site else name

    def sentence(self, now: float) -> str:
        """Return the alarm and the command to type. `now`: in seconds since 1970."""
        command = "copydesk sources" if self.is_of_all else f"copydesk sources --source {quoted(self.source)}"
        if self.kind == "silent":
            begin = "Nothing comes from any source" if self.is_of_all else f"{self.name} is silent"
            return f"{begin} since {_time(self.since)} ({duration_text(now - self.since)}): {self._gaps}: {command}"
        if self.kind == "low":
            return (
                f"{self.name} sends far less than it should since {_time(self.since)}: {self.documents or 0:,} documents in "
                f"24 hours, {self.expected or 0:,} on the poorest day of four weeks: {command}"
            )
        usual = "" if self.usual_share is None else f", usually {self.usual_share:.1%}"
        return f"{self.name}: {self.rejected or 0:,} of its last {self.documents or 0:,} documents were rejected{usual}: {command}"

    @property
    def _gaps(self) -> str:
        long, longest = duration_text(self.long_gap or 0), duration_text(self.longest_gap or 0)
        expected = f"{self.documents:,} documents were expected" if self.documents else "documents were expected"
        gaps = f"{'the' if self.is_of_all else 'its'} {self.gaps or 0:,} gaps"
        return f"{expected}; 19 of 20 of {gaps} are shorter than {long}, the longest was {longest}"

    def to_json(self) -> dict[str, object]:
        """Return the fields that belong to the kind, with `since` in ISO 8601."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return {**fields, "since": datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")}


def quoted(source: str) -> str:
    """Return a source's name as one argument of a shell."""
    import shlex

    return shlex.quote(source)


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def merged(stored: Iterable[SourceAlarm], fresh: Iterable[SourceAlarm]) -> list[SourceAlarm]:
    """Return the alarms of the store and those of the last minutes, each source once; rejections come first."""
    alarms = {alarm.key: alarm for alarm in (*fresh, *stored)}
    order = {"rejected": 0, "silent": 1, "low": 2}
    return sorted(
        alarms.values(),
        key=lambda alarm: (not alarm.is_of_all, alarm.site != "", order[alarm.kind], alarm.since, alarm.source),
    )


def source_sentences(raised: Sequence[SourceAlarm]) -> list[str]:
    """Return a sentence for each of the first alarms of sources, and one that counts the others."""
    now = time.time()
    sentences = [alarm.sentence(now) for alarm in raised[:MAX_SENTENCES]]
    if len(raised) > MAX_SENTENCES:
        sentences.append(f"{len(raised) - MAX_SENTENCES:,} more sources and sites raise an alarm: copydesk sources")
    return sentences
