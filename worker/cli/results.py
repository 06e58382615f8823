"""Collects the results of `ingest` and `submit --wait`, and prints them at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from typing import Literal

from worker.cli.terminal import OUTCOMES, json_line, plain
from worker.errors import Exit
from worker.producer.submission_window import SubmittedDocument

_SHOWN_PROBLEMS = 20


class Results:
    """The results of one command: counts, and a line for each document.

    The lines are in a temporary file, so that memory does not grow with them, and are printed at the end: a reader that
    closes the pipe early must not end the command before. `form`: how the lines are written; "none": there are none.
    """

    def __init__(self, lane: str, form: Literal["json", "text", "none"]) -> None:
        self._lane = lane
        self._form = form
        self._lines = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115  `print` closes it
        self.outcomes: Counter[str] = Counter()
        self.problem_count = 0
        self.first_problems: list[tuple[str, dict[str, object]]] = []
        """(path, problem) of the first 20 errors."""

    def add(self, document: SubmittedDocument) -> None:
        """Add a document. Without an outcome it is pending."""
        outcome, url, problems = document.outcome or ("pending", None, [])
        self.outcomes[outcome] += 1
        if self._form == "json":
            result = {"id": document.id, "lane": self._lane, "path": document.label, "outcome": outcome}
            self._lines.write(json_line({**result, "url": url, "problems": problems}))
        elif self._form == "text":
            self._lines.write(f"{document.id}\t{outcome}\t{plain(document.label)}\n")
        errors = [(document.label, problem) for problem in problems if problem["severity"] == "error"]
        self.problem_count += len(errors)
        self.first_problems += errors[: _SHOWN_PROBLEMS - len(self.first_problems)]

    def print(self, submitted: int) -> None:
        """Print the lines, and after JSON the summary."""
        self._lines.seek(0)
        shutil.copyfileobj(self._lines, sys.stdout)
        self._lines.close()
        if self._form == "json":
            counts = {name: self.outcomes[name] for name in OUTCOMES}
            sys.stdout.write(json_line({"summary": {"submitted": submitted, **counts}}))

    def exit_code(self, submitted: int) -> Exit:
        """Return timed out if a document has no outcome yet, else rejected if one was rejected, else OK."""
        if self.outcomes.total() - self.outcomes["pending"] < submitted:
            return Exit.TIMED_OUT
        return Exit.REJECTED if self.outcomes["rejected"] else Exit.OK
