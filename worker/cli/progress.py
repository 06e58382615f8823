"""A progress bar with the remaining time, for commands that may take longer than two seconds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from worker.telemetry.terminal import underlying

Advance = Callable[[int], None]
"""Takes how many are done so far."""


@contextlib.contextmanager
def progress(
    total: int | Callable[[], int | None] | None, unit: str = "documents", *, prints: bool = False
) -> Iterator[Advance]:
    """Show a bar on a terminal, and nothing elsewhere.

    `total` None: it is not known how many there are, so the bar shows the elapsed time. A function is called only if a bar
    is shown. `prints`: the command prints
    results to stdout meanwhile; on a terminal these show the progress.
    """
    if not underlying(sys.stderr).isatty() or (prints and sys.stdout.isatty()):
        yield lambda _: None
        return
    # Imported here, because rich takes a tenth of a second.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from worker.cli.tables import console

    total = total() if callable(total) else total
    seconds = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), seconds)
    # Rich would redirect stdout to this console, which writes to stderr.
    with Progress(*columns, console=console(), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(unit, total=total)
        yield lambda done: bar.update(task, completed=done)
