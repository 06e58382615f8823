"""What `ingest`, `submit` and `check` share: their arguments, and how results are printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from worker.cli.terminal import OUTCOMES, print_json
from worker.errors import Exit

Paths = Annotated[
    list[str], typer.Argument(help="files, folders (.md .markdown .txt), .jsonl, or - for standard input")
]
Source = Annotated[str, typer.Option(help="who sends them")]
LaneName = Annotated[str | None, typer.Option(help="the lane to use; the first by default")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a document, then a summary")]


def result_of(id_: str, lane: str, path: str, receipt: Any) -> dict[str, Any]:
    """Return the JSON object of a document's outcome; without a receipt it is pending."""
    outcome = str(receipt.outcome) if receipt is not None else "pending"
    problems = [p if isinstance(p, dict) else p.model_dump(mode="json") for p in receipt.problems] if receipt else []
    return {"id": id_, "lane": lane, "path": path, "outcome": outcome, "url": receipt.url if receipt else None,
            "problems": problems}  # fmt: skip


def print_results(results: Iterable[dict[str, Any]], submitted: int) -> None:
    """Print the output of `--json`: the documents, then their summary."""
    outcomes: Counter[str] = Counter()
    for result in results:
        outcomes[result["outcome"]] += 1
        print_json(result)
    print_json({"summary": {"submitted": submitted, **{name: outcomes.get(name, 0) for name in OUTCOMES}}})


def exit_of(outcomes: Counter[str], submitted: int) -> Exit:
    """Return the exit code: timed out if a document has no outcome yet, else rejected if one was rejected, else OK."""
    if sum(outcomes.values()) - outcomes["pending"] < submitted:
        return Exit.TIMED_OUT
    return Exit.REJECTED if outcomes["rejected"] else Exit.OK
