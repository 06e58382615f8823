"""Tables and problems on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.observe.terminal import plain, replace_unprintable, unguarded

if TYPE_CHECKING:  # a tenth of the imports of `check`, which draws no table
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

OUTCOMES = ("stored", "updated", "unchanged", "superseded", "retracted", "rejected")
_STYLES = {"stored": "green", "updated": "green", "rejected": "red", "superseded": "yellow", "retracted": "yellow"}


def console() -> Console:
    """Messages: standard error, so that data on standard output stays clean."""
    return _console(sys.stderr)


def data_console() -> Console:
    """Tables of data: standard output."""
    return _console(sys.stdout)


def _console(stream: Any) -> Console:
    from worker.cli.tables import TextConsole

    return TextConsole(unguarded(stream))


def print_json(value: Mapping[str, Any]) -> None:
    """One object, one line, on standard output. Characters that a terminal obeys or hides are written as `\\uXXXX`."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    sys.stdout.write(replace_unprintable(text, lambda character: json.dumps(character)[1:-1]) + "\n")


def outcome_table(outcomes: Mapping[str, int]) -> Table:
    """How many documents had each outcome."""
    from rich.table import Table
    from rich.text import Text

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


def problem_line(label: str, problem: Mapping[str, Any]) -> Text:
    """`path:line:column: error code: message`, which editors and people understand. Documents are hostile: no markup."""
    from rich.text import Text

    place = ":".join(str(part) for part in (label, problem.get("line"), problem.get("column")) if part is not None)
    severity = str(problem["severity"])
    line = Text(plain(place) + ": ")
    line.append(severity, style="bold red" if severity == "error" else "yellow")
    field = f" ({problem['field']})" if problem.get("field") else ""
    line.append(f" {problem['code']}{plain(field)}: {plain(str(problem['message']))}")
    return line


def moment(at: str | None) -> str:
    """`2026-01-31 12:00:01.250 UTC` of an ISO 8601 time."""
    return f"{at.replace('T', ' ')[:23].partition('+')[0]} UTC" if at else "unknown"


__all__ = ["OUTCOMES", "console", "data_console", "moment", "outcome_table", "plain", "print_json", "problem_line"]
