"""The live view: the snapshot as tables that fit a terminal of any size. No I/O; rich draws it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli.terminal import OUTCOMES, plain
from worker.monitoring.alarms import alarms

_WIDE = 130
"""From this number of columns on, the tables stand in two columns."""
_ROOMY = 78
_NARROW = 60
"""Below this number of columns a table shows only its most important columns."""
_SHORT = ("stored", "upd.", "unch.", "supers.", "retr.", "rej.")
"""Short names of the outcomes for narrow tables."""
_STYLES = {"stored": "green", "updated": "green", "rejected": "red", "superseded": "yellow", "retracted": "yellow"}


@dataclass(slots=True)
class Section:
    """A table: its columns (numbers except `text_columns`), its rows, and how many rows it needs at least."""

    columns: tuple[str, ...]
    rows: list[tuple[Text | str, ...]]
    least: int = 2
    text_columns: tuple[int, ...] = (0,)
    narrow: tuple[int, ...] = ()
    """Indexes of the columns of a narrow table; empty: all columns."""

    def draw(self, most: int, width: int) -> Table:
        if self.narrow and width < _NARROW:
            return self._narrowed().draw(most, width)
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
        shown = self.rows if len(self.rows) <= most else self.rows[: max(0, most - 1)]
        for row in shown:
            table.add_row(*row)
        if len(shown) < len(self.rows) and most:
            left = f"{len(self.rows) - len(shown):,}"
            table.add_row(Text(f"… {left}" if width < _NARROW else f"… and {left} more", style="dim"))
        return table

    def _narrowed(self) -> Section:
        rows = [tuple(row[number] for number in self.narrow) for row in self.rows]
        text = tuple(place for place, number in enumerate(self.narrow) if number in self.text_columns)
        return Section(tuple(self.columns[number] for number in self.narrow), rows, self.least, text)


def board(found: Mapping[str, Any], *, width: int, height: int | None = None) -> RenderableType:
    """Draw the snapshot within `width` columns and, if given, `height` lines."""
    head: list[RenderableType] = [_head(found, width)]
    overflow: Literal["ellipsis", "fold"] = "ellipsis" if height else "fold"
    told = alarms(found)[: 4 if height else None]
    head += [Text(f"! {plain(alarm)}", style="bold red", no_wrap=bool(height), overflow=overflow) for alarm in told]
    half = (width - 4) // 2
    left = [_lanes(found), _workers(found)]
    right = [_outcomes(found, width if width < _WIDE else half), _sources(found), _dead(found)]
    sum_line = _sum(found, width)
    room = None if height is None else height - len(head) - 1
    if width >= _WIDE:
        columns = Table.grid(padding=(0, 4, 0, 0))
        columns.add_column(width=half)
        columns.add_column(width=half)
        columns.add_row(_stack(left, half, None if room is None else room - 1, sum_line), _stack(right, half, room))
        return Group(*head, Text(), columns)
    return Group(*head, Text(), _stack([*left, *right], width, room, sum_line, after=1))


def _stack(
    sections: Sequence[Section], width: int, room: int | None, line: Text | None = None, *, after: int = 1
) -> Group:
    sections = [section for section in sections if section.rows]
    if room is None:
        counts = [len(section.rows) for section in sections]
    else:
        # Each section needs a header and a blank line, and `line` one more.
        sections = _fitting(sections, room - (line is not None))
        counts = share([(len(s.rows), s.least) for s in sections], room - 2 * len(sections) + 1 - (line is not None))
    drawn: list[RenderableType] = []
    for number, (section, count) in enumerate(zip(sections, counts, strict=True)):
        if drawn:
            drawn.append(Text())
        drawn.append(section.draw(count, width))
        if line is not None and number == after - 1:
            drawn.append(line)
    return Group(*drawn)


def _fitting(sections: list[Section], room: int) -> list[Section]:
    """Return the sections with room for more than their header; the last ones are left out first."""
    while len(sections) > 1 and room < sum(2 + min(len(section.rows), 2) for section in sections) - 1:
        sections = sections[:-1]
    return sections


def share(wanted: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Divide `room` lines among sections of (rows, minimum): first each minimum, then one line each in turn."""
    counts = [0] * len(wanted)
    for limit in (1, 2):
        for number, (rows, least) in enumerate(wanted):
            most = min(rows, least) if limit == 1 else 0
            take = min(most - counts[number], room) if most > counts[number] else 0
            counts[number] += take
            room -= take
    while room > 0 and any(count < rows for count, (rows, _) in zip(counts, wanted, strict=True)):
        for number, (rows, _) in enumerate(wanted):
            if counts[number] < rows and room > 0:
                counts[number] += 1
                room -= 1
    return counts


def _head(found: Mapping[str, Any], width: int) -> Text:
    line = Text(time.strftime("%H:%M " if width < _NARROW else "%H:%M:%S  "), no_wrap=True, overflow="ellipsis")
    for name in ("redis", "database"):
        server = found.get(name) or {}
        if not server.get("ok"):
            line.append(f"{name} away", style="bold red")
        elif width < _NARROW:
            line.append(f"{server['server'].split()[0]} ok", style="green")
        else:
            line.append(server["server"] if width >= 100 else server["server"].split()[0], style="green")
            line.append(f" {server['ms']:.1f} ms {size(server['used_bytes'])}")
        line.append(" " if width < _NARROW else "   ")
    if (workers := found.get("workers")) is None:  # workers are known to Redis only
        return line.append("workers unknown", style="bold red")
    line.append(f"{len(workers)} worker{'' if len(workers) == 1 else 's'}", style="green" if workers else "bold red")
    return line


def _lanes(found: Mapping[str, Any]) -> Section:
    rows: list[tuple[Text | str, ...]] = []
    for lane in found.get("lanes", []):
        state = "paused" if lane.get("paused") else ""
        rows.append(
            (
                Text(f"{lane['lane']}{'  paused' if state else ''}", style="yellow" if state else ""),
                figure(lane["backlog"]),
                figure(lane["pending"]),
                age(lane["oldest_seconds"]),
                f"{lane['in_rate']:,.1f}",
                f"{lane['rate']:,.1f}",
                _drained_in(lane),
            )
        )
    return Section(("LANE", "backlog", "at work", "oldest", "in/s", "out/s", "drained"), rows, 3, narrow=(0, 1, 3, 6))


def _drained_in(lane: Mapping[str, Any]) -> Text | str:
    if not lane["backlog"]:
        return Text("-", style="dim")
    if lane.get("paused"):
        return Text("paused", style="yellow")
    seconds = lane["drain_seconds"]
    if seconds is not None:
        return f"in {age(seconds)}"
    return Text("grows", style="yellow") if lane["rate"] else Text("stands", style="red")


def _sum(found: Mapping[str, Any], width: int) -> Text:
    total = found.get("sum")
    if not total:
        return Text()
    names = ("in", "out", "left") if width < _NARROW else ("added", "with an outcome", "in the backlog")
    line = f"{total['added']:,} {names[0]} = {total['settled']:,} {names[1]} + {total['backlog']:,} {names[2]}"
    if not total["missing"]:
        return Text(line, style="dim", no_wrap=True, overflow="ellipsis")
    return Text(
        f"{line} + {total['missing']:,} removed by somebody else", style="red", no_wrap=True, overflow="ellipsis"
    )


def _workers(found: Mapping[str, Any]) -> Section:
    rows: list[tuple[Text | str, ...]] = []
    for worker in found.get("workers", []):
        fine = worker["state"] == "consuming"
        rows.append(
            (
                plain(worker["worker"]),
                Text(worker["state"], style="green" if fine else "yellow"),
                age(worker["for_seconds"]),
                _doing(worker),
            )
        )
    rows += [
        (plain(gone["worker"]), Text("silent", style="bold red"), age(gone["silent_seconds"]), "")
        for gone in found.get("missed", [])
    ]
    return Section(("WORKER", "state", "for", "doing"), rows, 2, text_columns=(0, 1, 3), narrow=(0, 1, 2))


def _doing(worker: Mapping[str, Any]) -> Text:
    if worker["reason"]:
        return Text(plain(worker["reason"]), style="yellow")
    pool = worker["pool"]
    busy = [process for process in pool if process["lane"]]
    if not busy:
        return Text(f"waits ({len(pool)} process{'' if len(pool) == 1 else 'es'})", style="dim")
    longest = max(busy, key=lambda process: process["busy_seconds"] or 0)
    many = "" if longest["documents"] == 1 else "s"
    what = f"{longest['documents']} document{many} on {longest['lane']} for {age(longest['busy_seconds'])}"
    return Text(f"{len(busy)} of {len(pool)} busy: {what}")


def _outcomes(found: Mapping[str, Any], width: int) -> Section:
    rows: list[tuple[Text | str, ...]] = []
    counted = [
        (f"{part['seconds']} s" if name == "minute" else name, part["outcomes"]) for name, part in _recent(found)
    ]
    for label, counts in [*counted, ("ever", _ever(found))]:
        cells = [
            Text(f"{counts[o]:,}", style=_STYLES.get(o, "")) if counts.get(o) else Text("-", style="dim")
            for o in OUTCOMES
        ]
        rows.append((label, *cells))
    return Section(("LAST", *(OUTCOMES if width >= _ROOMY else _SHORT)), rows, 4, narrow=(0, 1, 2, 3, 6))


def _ever(found: Mapping[str, Any]) -> dict[str, int]:
    """Redis has it first, the store keeps it forever. If one of them lost data, the other one has more."""
    counters: Counter[str] = Counter()
    for lane in found.get("lanes", []):
        counters.update(lane["outcomes"])
    stored = found.get("outcomes", {})
    return {name: max(counters[name], stored.get(name, 0)) for name in OUTCOMES}


def _recent(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(found.get("recent", {}).items())


def _sources(found: Mapping[str, Any]) -> Section:
    recent = found.get("recent", {})
    day = recent.get("day", {}).get("sources", {})
    rows: list[tuple[Text | str, ...]] = []
    for source in sorted(day, key=lambda name: (-day[name].get("rejected", 0), -sum(day[name].values()), name)):
        cells: list[Text | str] = []
        for part in recent.values():
            counts = part["sources"].get(source, {})
            rejected = counts.get("rejected", 0)
            cells += [
                figure(sum(counts.values())),
                Text(f"{rejected:,}", style="red") if rejected else Text("-", style="dim"),
            ]
        rows.append((plain(source), *cells))
    minute = f"{recent['minute']['seconds']} s" if recent else "minute"
    return Section(("SOURCE", minute, "rej.", "hour", "rej.", "day", "rej."), rows, narrow=(0, 3, 4))


def _dead(found: Mapping[str, Any]) -> Section:
    rows: list[tuple[Text | str, ...]] = [(code, f"{count:,}") for code, count in found.get("dead_letters", {}).items()]
    return Section(("OPEN DEAD LETTERS", "documents"), rows)


def figure(number: int) -> Text | str:
    return f"{number:,}" if number else Text("-", style="dim")


def age(seconds: float | None) -> str:
    """Format seconds as `12.3 s`, `4 min`, `2.5 h`, `3.1 d`; a dash for None."""
    if seconds is None:
        return "-"
    for limit, unit, divisor in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / divisor:.1f} {unit}" if seconds / divisor < 10 else f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:,.1f} d"


def size(number: int | None) -> str:
    """Format bytes as `12 MB`; a dash for None."""
    if number is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number = int(number / 1000)
    return f"{number:,} TB"
