"""`copydesk tail`: follow the outcome feed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import redis
import typer
from rich.text import Text

from worker.activity.outcome_feed import OutcomeRecord, follow, recent
from worker.cli.exits import print_message
from worker.cli.local_stack import reader
from worker.cli.options import refuse_nan
from worker.cli.tables import data_console
from worker.cli.terminal import OUTCOMES, plain, print_json
from worker.errors import Exit
from worker.queue.connection import connect
from worker.settings import settings

_STYLES = {"stored": "green", "updated": "green", "rejected": "bold red", "superseded": "yellow", "retracted": "yellow"}

_EARLIER_OUTCOMES = 5000


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk tail --outcome rejected --source my-crawler")(tail)


def tail(
    source: Annotated[str | None, typer.Option(help="only outcomes of this source")] = None,
    outcome: Annotated[str | None, typer.Option(help="only this outcome, or several: stored,updated")] = None,
    code: Annotated[
        str | None, typer.Option(help="only documents with this problem code, of an error or a warning")
    ] = None,
    url: Annotated[str | None, typer.Option(help="only documents with this text in the URL or key")] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, max=100_000, help="show the last N outcomes first")] = 10,
    seconds: Annotated[
        float | None, typer.Option(callback=refuse_nan, help="end after this many seconds; by default at Ctrl-C")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a document")] = False,
) -> int:
    """Follow the outcomes of documents as they happen.

    It shows the outcomes of all workers on all machines, until Ctrl-C. Times are in UTC.
    """
    outcomes = set(filter(None, (outcome or "").split(",")))
    if not outcomes <= set(OUTCOMES):
        raise typer.BadParameter(f"--outcome must be of {', '.join(OUTCOMES)}")
    selected = _Filter(source, outcomes, code, url)
    show = _print_json_lines if json_ else _print_lines
    config = settings()
    reader(config).close()  # reports an unreachable server at once
    with connect(config.redis) as client:
        # Filter earlier outcomes too, so that the last ten of a source are found among many others.
        earlier, position = recent(client, _EARLIER_OUTCOMES)
        matching = selected.of(earlier)
        show(matching[-last:] if last else [])
        if last and not matching and selected.is_set:
            print_message(_where_older_ones_are(len(earlier), outcomes))
        ends = time.monotonic() + seconds if seconds is not None else float("inf")
        for records in _follow(client, position, ends):
            show(selected.of(records))
    return Exit.OK


@dataclass(frozen=True, slots=True)
class _Filter:
    """A filter of outcomes; all parts that are set must match. `url`: a part of the URL or key."""

    source: str | None
    outcomes: set[str]
    code: str | None
    url: str | None

    @property
    def is_set(self) -> bool:
        return bool(self.source or self.outcomes or self.code or self.url)

    def of(self, records: list[OutcomeRecord]) -> list[OutcomeRecord]:
        return [record for record in records if self._matches(record)]

    def _matches(self, record: OutcomeRecord) -> bool:
        return (
            self.source in (None, record.source)
            and (not self.outcomes or record.outcome in self.outcomes)
            and (self.code is None or self.code in record.codes)
            and (not self.url or self.url in (record.url or "") or self.url in (record.key or ""))
        )


def _where_older_ones_are(count: int, outcomes: set[str]) -> str:
    older = "copydesk dead list" if outcomes == {"rejected"} else "copydesk explain KEY, URL or receipt id"
    return (
        f"None of the last {count:,} outcomes matches. The feed holds no older ones; the store has all of them: {older}"
    )


def _follow(client: redis.Redis, position: str, ends: float) -> Iterator[list[OutcomeRecord]]:
    """Yield new outcomes until the monotonic time `ends`. While Redis cannot be reached, try again each second."""
    is_connected = True
    while (seconds := ends - time.monotonic()) > 0:
        try:
            # Redis takes a block of 0 as forever.
            position, records = next(follow(client, position, block_seconds=min(2.0, max(0.01, seconds))))
        except redis.RedisError:
            if is_connected:
                print_message("Redis cannot be reached; trying again each second.")
            is_connected = False
            time.sleep(min(1.0, seconds))
            continue
        if not is_connected:
            print_message("Redis answers again.")
        is_connected = True
        yield records


def _print_json_lines(records: list[OutcomeRecord]) -> None:
    for record in records:
        print_json(asdict(record))
    sys.stdout.flush()


def _print_lines(records: list[OutcomeRecord]) -> None:
    out = data_console()
    for record in records:
        if out.is_terminal:
            out.print(_line(record), no_wrap=True, overflow="ellipsis", crop=True)
        else:
            out.print(_line(record), soft_wrap=True)
    out.file.flush()


def _line(record: OutcomeRecord) -> Text:
    """Return `12:00:01 stored     my-crawler  stories/1.md  https://…`. Documents are hostile: no markup."""
    line = Text(time.strftime("%H:%M:%S ", time.gmtime(record.at)), style="")
    line.append(f"{record.outcome:<10} ", style=_STYLES.get(record.outcome, "dim"))
    line.append(plain(record.source))
    if record.codes:
        line.append(f"  {plain(','.join(record.codes))}", style="red" if record.outcome == "rejected" else "yellow")
    for part in dict.fromkeys((record.key, record.url)):
        if part:
            line.append(f"  {plain(part)}")
    return line.append(f"  {record.id}", style="dim")
