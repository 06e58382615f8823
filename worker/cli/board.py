"""The live view: the snapshot as tables that fit a terminal of any size. No I/O; rich draws it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli.terminal import OUTCOMES, plain
from worker.monitoring.alarms import alarms
from worker.monitoring.status import LaneStatus, LaneSums, QueueStatus, Snapshot, WorkerStatus
from worker.telemetry.durations import duration_text
from worker.telemetry.sizes import size_text

Row = tuple[Text | str, ...]

_WIDE = 130
"""From this number of columns on, the tables stand in two columns."""
_ROOMY = 78
_NARROW = 60
"""Below this number of columns a table shows only its most important columns."""
_MAX_ALARMS = 4
"""Number of alarms shown where the height is limited."""
_MAX_SOURCES = 20
"""Lines of the table of sources where the height is not limited."""
_SHORT = ("stored", "upd.", "unch.", "supers.", "retr.", "rej.")
"""Short names of the outcomes for narrow tables."""
_STYLES = {"stored": "green", "updated": "green", "rejected": "red", "superseded": "yellow", "retracted": "yellow"}


@dataclass(slots=True)
class Section:
    """A table: its columns (numbers except `text_columns`), its rows, and how many rows it needs at least."""

    columns: tuple[str, ...]
    rows: list[Row]
    minimum: int = 2
    text_columns: tuple[int, ...] = (0,)
    narrow: tuple[int, ...] = ()
    """Indexes of the columns of a narrow table; empty: all columns."""
    most: int | None = None
    """How many lines it has where the height is not limited; None: all rows."""
    rest: str = ""
    """The command that shows the rows that are left out."""

    @property
    def lines(self) -> int:
        """How many lines below the header it needs where the height is not limited."""
        return len(self.rows) if self.most is None else min(len(self.rows), self.most)

    def draw(self, limit: int, width: int) -> Table:
        if self.narrow and width < _NARROW:
            return self._narrowed().draw(limit, width)
        table = Table(
            box=None, show_edge=False, pad_edge=False, header_style="bold dim", width=width, padding=(0, 2, 0, 0)
        )
        for number, name in enumerate(self.columns):
            is_text = number in self.text_columns
            # The last text column takes the remaining width, so that numbers stand near their names.
            widest = number == self.text_columns[-1]
            table.add_column(
                name,
                justify="left" if is_text else "right",
                no_wrap=True,
                overflow="ellipsis",
                ratio=1 if widest else None,
                min_width=min(9, max(len(name), *(len(row[number]) for row in self.rows))) if is_text else None,
            )
        shown = self.rows if len(self.rows) <= limit else self.rows[: max(0, limit - 1)]
        for row in shown:
            table.add_row(*row)
        if len(shown) < len(self.rows) and limit:
            left = f"{len(self.rows) - len(shown):,}"
            command = f": {self.rest}" if self.rest else ""
            table.add_row(Text(f"… {left}" if width < _NARROW else f"… and {left} more{command}", style="dim"))
        return table

    def _narrowed(self) -> Section:
        rows = [tuple(row[number] for number in self.narrow) for row in self.rows]
        text = tuple(place for place, number in enumerate(self.narrow) if number in self.text_columns)
        return Section(tuple(self.columns[number] for number in self.narrow), rows, self.minimum, text, most=self.most)


def board(snapshot: Snapshot, *, width: int, height: int | None = None) -> RenderableType:
    """Draw the snapshot within `width` columns and, if given, `height` lines."""
    head: list[RenderableType] = [_head(snapshot, width)]
    overflow: Literal["ellipsis", "fold"] = "ellipsis" if height else "fold"
    shown = alarms(snapshot)[: _MAX_ALARMS if height else None]
    head += [
        Text(f"! {plain(alarm.sentence)}", style="bold red", no_wrap=bool(height), overflow=overflow) for alarm in shown
    ]
    half = (width - 4) // 2
    left, right = list[Section](), list[Section]()
    if snapshot.queue is not None:
        left = [_lanes(snapshot.queue), _workers(snapshot.queue)]
        right = [_outcomes(snapshot.queue, width if width < _WIDE else half)]
    lists = [*([_sources(snapshot.queue)] if snapshot.queue is not None else []), _dead_letters(snapshot)]
    for section in lists:
        # The shorter column gets the next table, so that neither half of a wide terminal is empty.
        (left if width >= _WIDE and _height_of(left) < _height_of(right) else right).append(section)
    sums = _sums(snapshot.queue.sum, width) if snapshot.queue is not None else None
    lines = None if height is None else height - len(head) - 1
    if width >= _WIDE:
        columns = Table.grid(padding=(0, 4, 0, 0))
        columns.add_column(width=half)
        columns.add_column(width=half)
        columns.add_row(_stack(left, half, None if lines is None else lines - 1, sums), _stack(right, half, lines))
        return Group(*head, Text(), columns)
    return Group(*head, Text(), _stack([*left, *right], width, lines, sums))


def _height_of(sections: Sequence[Section]) -> int:
    return sum(2 + section.lines for section in sections if section.rows)


def _stack(sections: Sequence[Section], width: int, lines: int | None, sums: Text | None = None) -> Group:
    """Draw the sections that have rows, within `lines` lines if given; `sums` stands below the first section."""
    sections = [section for section in sections if section.rows]
    if lines is None:
        counts = [section.lines for section in sections]
    else:
        # Each section needs a header and a blank line, and `sums` one more.
        sections = _fitting(sections, lines - (sums is not None))
        counts = share([(len(s.rows), s.minimum) for s in sections], lines - 2 * len(sections) + 1 - (sums is not None))
    drawn: list[RenderableType] = []
    for number, (section, count) in enumerate(zip(sections, counts, strict=True)):
        if drawn:
            drawn.append(Text())
        drawn.append(section.draw(count, width))
        if sums is not None and number == 0:
            drawn.append(sums)
    return Group(*drawn)


def _fitting(sections: list[Section], lines: int) -> list[Section]:
    """Return the sections that fit with more than their header; the last ones are left out first."""
    while len(sections) > 1 and lines < sum(2 + min(len(section.rows), 2) for section in sections) - 1:
        sections = sections[:-1]
    return sections


def share(needs: Sequence[tuple[int, int]], lines: int) -> list[int]:
    """Divide `lines` among sections of (rows, minimum): first each minimum, then one line each in turn."""
    counts = []
    for rows, minimum in needs:
        counts.append(max(0, min(rows, minimum, lines)))
        lines -= counts[-1]
    while lines > 0 and any(count < rows for count, (rows, _) in zip(counts, needs, strict=True)):
        for number, (rows, _) in enumerate(needs):
            if counts[number] < rows and lines > 0:
                counts[number] += 1
                lines -= 1
    return counts


def _head(snapshot: Snapshot, width: int) -> Text:
    line = Text(
        time.strftime("%H:%M " if width < _NARROW else "%H:%M:%S UTC  ", time.gmtime()),
        no_wrap=True,
        overflow="ellipsis",
    )
    for name in ("redis", "database"):
        server = snapshot.servers.get(name)
        if server is None or not server.ok:
            line.append(f"{name} unreachable", style="bold red")
        elif width < _NARROW:
            line.append(f"{server.server.split()[0]} ok", style="green")
        else:
            line.append(server.server if width >= 100 else server.server.split()[0], style="green")
            line.append(f" {server.ms:.1f} ms {size_text(server.used_bytes)}")
        line.append(" " if width < _NARROW else "   ")
    if snapshot.queue is None:  # workers are known to Redis only
        return line.append("workers unknown", style="bold red")
    count = len(snapshot.queue.workers)
    return line.append(f"{count} worker{'' if count == 1 else 's'}", style="green" if count else "bold red")


def _lanes(queue: QueueStatus) -> Section:
    rows: list[Row] = [
        (
            Text(f"{lane.lane}{'  paused' if lane.paused else ''}", style="yellow" if lane.paused else ""),
            _count(lane.backlog),
            _count(lane.pending),
            age(lane.oldest_seconds),
            f"{lane.in_rate:,.1f}",
            f"{lane.rate:,.1f}",
            _drained_in(lane),
        )
        for lane in queue.lanes
    ]
    return Section(("LANE", "backlog", "in flight", "oldest", "in/s", "out/s", "drained"), rows, 3, narrow=(0, 1, 3, 6))


def _drained_in(lane: LaneStatus) -> Text | str:
    if not lane.waiting:
        return Text("source paused" if lane.backlog else "-", style="yellow" if lane.backlog else "dim")
    if lane.paused:
        return Text("paused", style="yellow")
    if lane.drain_seconds is not None:
        return f"in {age(lane.drain_seconds)}"
    return Text("grows", style="yellow") if lane.lately_settled else Text("stands", style="red")


def _sums(total: LaneSums, width: int) -> Text:
    names = ("in", "out", "left") if width < _NARROW else ("added", "with an outcome", "in the backlog")
    line = f"{total.added:,} {names[0]} = {total.settled:,} {names[1]} + {total.backlog:,} {names[2]}"
    if total.missing:
        line += f" + {total.missing:,} removed by somebody else"
    return Text(line, style="red" if total.missing else "dim", no_wrap=True, overflow="ellipsis")


def _workers(queue: QueueStatus) -> Section:
    rows: list[Row] = [
        (
            plain(worker.worker),
            Text(worker.state, style="green" if worker.state == "consuming" else "yellow"),
            age(worker.for_seconds),
            _activity(worker),
        )
        for worker in queue.workers
    ]
    rows += [
        (plain(silent.worker), Text("silent", style="bold red"), age(silent.silent_seconds), "")
        for silent in queue.missed
    ]
    return Section(("WORKER", "state", "for", "doing"), rows, 2, text_columns=(0, 1, 3), narrow=(0, 1, 2))


def _activity(worker: WorkerStatus) -> Text:
    if worker.reason:
        return Text(plain(worker.reason), style="yellow")
    pool = worker.pool
    busy = [process for process in pool if process.lane]
    if not busy:
        return Text(f"waits ({len(pool)} process{'' if len(pool) == 1 else 'es'})", style="dim")
    longest = max(busy, key=lambda process: process.busy_seconds or 0)
    plural = "" if longest.documents == 1 else "s"
    batch = f"{longest.documents} document{plural} on {longest.lane} for {age(longest.busy_seconds)}"
    return Text(f"{len(busy)} of {len(pool)} busy: {batch}")


def _outcomes(queue: QueueStatus, width: int) -> Section:
    rows: list[Row] = [
        (label, *(_count(counts.get(name, 0), _STYLES.get(name, "")) for name in OUTCOMES))
        for label, counts in queue.outcomes_by_period
    ]
    return Section(("LAST", *(OUTCOMES if width >= _ROOMY else _SHORT)), rows, 4, narrow=(0, 1, 2, 3, 6))


def _sources(queue: QueueStatus) -> Section:
    recent = queue.recent
    rows: list[Row] = []
    for source, _ in recent.day.ranked_sources:
        cells: list[Text | str] = []
        for period in (recent.minute, recent.hour, recent.day):
            counts = period.sources.get(source, {})
            cells += [_count(sum(counts.values())), _count(counts.get("rejected", 0), "red")]
        rows.append((plain(source), *cells))
    columns = ("SOURCE", f"{recent.minute.seconds} s", "rej.", "hour", "rej.", "day", "rej.")
    return Section(columns, rows, narrow=(0, 3, 4), most=_MAX_SOURCES, rest="copydesk sources")


def _dead_letters(snapshot: Snapshot) -> Section:
    codes = snapshot.store.dead_letters if snapshot.store else {}
    return Section(("OPEN DEAD LETTERS", "documents"), [(code, f"{count:,}") for code, count in codes.items()])


def _count(number: int, style: str = "") -> Text:
    return Text(f"{number:,}", style=style) if number else Text("-", style="dim")


def age(seconds: float | None) -> str:
    """Format a time span; a dash for None."""
    return "-" if seconds is None else duration_text(seconds)
