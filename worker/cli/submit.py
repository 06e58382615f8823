"""`copydesk submit`: only pushes; with --wait it also says what became of each document."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from worker.cli.exits import Exit


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: copydesk submit --source my-crawler story.md")(submit)


def submit(
    paths: Annotated[
        list[str], typer.Argument(help="files, folders (.md .markdown .txt), .jsonl, or - for standard input")
    ],
    source: Annotated[str, typer.Option(help="who sends them")] = "submit",
    lane: Annotated[str | None, typer.Option(help="the lane to use; the first by default")] = None,
    key: Annotated[str | None, typer.Option(help="your own identity for the document (one document only)")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait for the outcomes")] = False,
    timeout: Annotated[float, typer.Option(help="seconds to wait at most")] = 60,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object a document")] = False,
) -> int:
    """Push documents onto a lane and print their receipt ids."""
    from collections import Counter
    from dataclasses import replace

    from worker.cli.show import OUTCOMES, print_json
    from worker.intake.connect import connect
    from worker.intake.producer import submit_many
    from worker.intake.sources import read_paths
    from worker.settings import settings

    config = settings()
    target = lane or config.lane_list[0].name
    submissions = list(read_paths(paths, source=source))
    if key is not None:
        if len(submissions) != 1:
            raise typer.BadParameter("--key goes with one document")
        submissions = [replace(submissions[0], key=key)]
    with connect(config.redis) as client:
        pushed = [(id_, submission.label) for submission, id_ in submit_many(client, target, submissions)]
    if not wait:
        for id_, label in pushed:
            if json_:
                print_json({"id": id_, "lane": target, "path": label})
            else:
                typer.echo(f"{id_}\t{label}")
        return Exit.OK
    found = _wait(config, target, [id_ for id_, _ in pushed], timeout)
    outcomes: Counter[str] = Counter()
    for id_, label in pushed:
        row = found.get(id_)
        outcome = row.outcome if row else "pending"
        outcomes[outcome] += 1
        if json_:
            problems = row.problems if row else []
            print_json({"id": id_, "lane": target, "path": label, "outcome": outcome, "url": row.url if row else None,
                        "problems": problems})  # fmt: skip
        else:
            typer.echo(f"{id_}\t{outcome}\t{label}")
    if json_:
        print_json({"summary": {"submitted": len(pushed), **{name: outcomes.get(name, 0) for name in OUTCOMES}}})
    if outcomes.get("pending"):
        return Exit.TIMED_OUT
    return Exit.REJECTED if outcomes.get("rejected") else Exit.OK


def _wait(config: Any, lane: str, ids: list[str], timeout: float) -> dict[str, Any]:
    from worker.store.engine import make_engine
    from worker.store.read import receipts_of

    engine = make_engine(config, pooled=False)
    deadline = time.monotonic() + timeout
    found: dict[str, Any] = {}
    while len(found) < len(ids) and time.monotonic() < deadline:
        with engine.connect() as connection:
            found.update(receipts_of(connection, lane, [id_ for id_ in ids if id_ not in found]))
        time.sleep(0.05)
    engine.dispose()
    return found
