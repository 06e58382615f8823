"""`copydesk tail`: follow the outcome feed."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer
from redis import RedisError
from rich.text import Text

from worker.activity.outcome_feed import OutcomeRecord, follow, recent
from worker.cli.exits import say
from worker.cli.local_stack import reader
from worker.cli.tables import data_console
from worker.cli.terminal import OUTCOMES, plain, print_json
from worker.errors import Exit
from worker.queue.connection import connect
from worker.settings import settings

_STYLES = {"stored": "green", "updated": "green", "rejected": "bold red", "superseded": "yellow", "retracted": "yellow"}


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk tail --outcome rejected --source my-crawler")(tail)


def tail(
    source: Annotated[str | None, typer.Option(help="only of this source")] = None,
    outcome: Annotated[str | None, typer.Option(help="only this outcome; several: stored,updated")] = None,
    code: Annotated[str | None, typer.Option(help="only those with this problem code, error or warning")] = None,
    url: Annotated[str | None, typer.Option(help="only those with this text in the URL or key")] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, max=100_000, help="show the last N outcomes first")] = 10,
    seconds: Annotated[float | None, typer.Option(help="end after so many seconds; by default at Ctrl-C")] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a document")] = False,
) -> int:
    """Follow the outcomes of documents as they happen.

    It shows those of all workers on all machines, until Ctrl-C.
    """
    outcomes = set(filter(None, (outcome or "").split(",")))
    if not outcomes <= set(OUTCOMES):
        raise typer.BadParameter(f"--outcome is of {', '.join(OUTCOMES)}")

    def wanted(record: OutcomeRecord) -> bool:
        return (
            source in (None, record.source)
            and (not outcomes or record.outcome in outcomes)
            and (code is None or code in record.codes)
            and (not url or url in (record.url or "") or url in (record.key or ""))
        )

    out = data_console()

    def show(record: list[OutcomeRecord]) -> None:
        for one in record:
            if not wanted(one):
                continue
            if json_:
                print_json(asdict(one))
            elif out.is_terminal:
                out.print(_line(one), no_wrap=True, overflow="ellipsis", crop=True)
            else:
                out.print(_line(one), soft_wrap=True)
        out.file.flush()

    ends = time.monotonic() + seconds if seconds is not None else float("inf")
    away = False
    config = settings()
    reader(config).close()  # reports an unreachable server at once
    with connect(config.redis) as client:
        # Filter earlier outcomes too, so that the last ten of a source are found among many others.
        before, place = recent(client, 5000)
        show([one for one in before if wanted(one)][-last:] if last else [])
        while time.monotonic() < ends:
            try:
                for came in follow(client, place, block_seconds=min(2.0, max(0.01, ends - time.monotonic()))):
                    place, record = came
                    if away:
                        say("Redis answers again.")
                    away = False
                    show(record)
                    if time.monotonic() >= ends:
                        break
            except RedisError:
                if not away:
                    say("Redis cannot be reached; trying again each second.")
                away = True
                time.sleep(1)
    return Exit.OK


def _line(record: OutcomeRecord) -> Text:
    """Return `12:00:01 stored     my-crawler  stories/1.md  https://…`. Documents are hostile: no markup."""
    line = Text(time.strftime("%H:%M:%S ", time.localtime(record.at)), style="")
    line.append(f"{record.outcome:<10} ", style=_STYLES.get(record.outcome, "dim"))
    line.append(plain(record.source))
    if record.codes:
        line.append(f"  {plain(','.join(record.codes))}", style="red" if record.outcome == "rejected" else "yellow")
    for part in dict.fromkeys((record.key, record.url)):
        if part:
            line.append(f"  {plain(part)}")
    return line.append(f"  {record.id}", style="dim")
