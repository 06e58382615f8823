"""Tables, problems and consoles by rich. Foreign text cannot inject markup, control characters or escape sequences."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from worker.cli.terminal import OUTCOMES
from worker.telemetry.terminal import plain, printable, underlying

_STYLES = {"stored": "green", "updated": "green", "rejected": "red", "superseded": "yellow", "retracted": "yellow"}


class TextConsole(Console):
    """A console that prints strings literally: `[/x]` is no markup, `:smile:` no emoji, ESC no escape sequence."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=stream, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Clean a string before a table is measured, so that its columns fit what is shown."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Clean all output, including `Text` objects, which `render_str` does not see."""
        for segment in super().render(renderable, options):
            is_own = segment.control is not None  # moves the cursor, clears the screen
            yield segment if is_own else Segment(printable(segment.text), segment.style)


def console() -> TextConsole:
    """Return a console for messages (stderr)."""
    return _console(sys.stderr)


def data_console() -> TextConsole:
    """Return a console for results (stdout)."""
    return _console(sys.stdout)


def _console(stream: TextIO) -> TextConsole:
    return TextConsole(underlying(stream))


def outcome_table(outcomes: Mapping[str, int]) -> Table:
    """Return a table of how many documents had each outcome."""
    table = Table(title="Outcomes", title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("outcome")
    table.add_column("documents", justify="right")
    for name in OUTCOMES:
        count = outcomes.get(name, 0)
        table.add_row(
            Text(name, style=_STYLES.get(name, "") if count else "dim"),
            Text(f"{count:,}", style="" if count else "dim"),
        )
    table.add_row(Text("all", style="bold"), Text(f"{sum(outcomes.values()):,}", style="bold"))
    return table


def problem_line(label: str, problem: Mapping[str, object]) -> Text:
    """Return `path:line:column: error code: message`, which editors can parse. Documents are hostile: no markup."""
    place = ":".join(str(part) for part in (label, problem.get("line"), problem.get("column")) if part is not None)
    severity = str(problem["severity"])
    line = Text(plain(place) + ": ")
    line.append(severity, style="bold red" if severity == "error" else "yellow")
    field = f" ({problem['field']})" if problem.get("field") else ""
    line.append(f" {problem['code']}{plain(field)}: {plain(str(problem['message']))}")
    return line
