"""The results of a soak: a JSON line for each fault while it runs, and a table of all at the end."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.scenario import RECOVERY_SECONDS, FaultResult

_HEAD = "| fault | times | documents flow again after s, median / most | backlog done after s, median / most | met, least | found wrong |"


@dataclass(slots=True)
class Results:
    """Results by name. `path`: the file to which each is written at once, so that none is lost if the soak itself ends
    early.
    """

    path: Path
    done: dict[str, list[FaultResult]] = field(default_factory=lambda: defaultdict(list))
    failures: list[tuple[str, str]] = field(default_factory=list)
    """(fault, error)"""
    skipped: dict[str, str] = field(default_factory=dict)
    """Fault → the program that this machine lacks for it."""
    started: float = field(default_factory=time.monotonic)

    def begin(self, **what: Any) -> None:
        self._write({"soak": {**what, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}})

    def survived(self, result: FaultResult, **more: Any) -> None:
        """Record a fault after which documents were processed again, perhaps too late or with errors in the
        reconciliation.
        """
        name, wrong = result.fault, []
        self.done[name].append(result)
        if result.recovery > RECOVERY_SECONDS:
            wrong.append(f"late, documents flowed after {result.recovery:.0f} s")
        if not result.findings.clean:
            wrong.append(str(result.findings))
        self.failures += [(name, what) for what in wrong]
        figures = {"met": result.pending, "recovery": round(result.recovery, 2), "drained": round(result.drained, 2),
                   "took": round(result.took, 2), "counted": dict(result.findings.counted)}  # fmt: skip
        self._write({"fault": name, **figures, "wrong": wrong, **more})
        state = "FAILED " + "; ".join(wrong) if wrong else str(result.findings)
        self._print(f"{name:44} met {result.pending:4}, flows after {result.recovery:5.1f} s, done after {result.drained:5.1f} s, "
                  f"took {result.took:5.1f} s, load {more.get('load', 0):.0f}; {state}")  # fmt: skip

    def failed(self, name: str, error: BaseException, **more: Any) -> None:
        """Record a fault that ended in an error, or after which the system was stuck."""
        what = (str(error).splitlines() or [repr(error)])[0][:500]
        self.failures.append((name, what))
        self._write({"fault": name, "wrong": [what], "error": f"{type(error).__name__}: {error}", **more})
        self._print(f"{name:44} FAILED {type(error).__name__}: {error}")

    def skip(self, name: str, why: object) -> None:
        self.skipped[name] = str(why)
        self._write({"fault": name, "skipped": str(why)})
        self._print(f"{name:44} skipped: {why}")

    def table(self) -> str:
        """Return Markdown: a row for each fault, then the errors, then the sum."""
        wrong = [name for name, _ in self.failures]
        rows = [_row(name, self.done.get(name, []), wrong.count(name)) for name in sorted({*self.done, *wrong})]
        rows += [f"| {name} | 0 | not possible here: {why} | | | |" for name, why in sorted(self.skipped.items())]
        lines = [_HEAD, "|---|---|---|---|---|---|", *rows, ""]
        lines += [f"FAILED {name}: {what}" for name, what in self.failures]
        spent = time.monotonic() - self.started
        count = sum(map(len, self.done.values()))
        verdict = f"{len(self.failures)} FAILED" if self.failures else "nothing was wrong"
        lines.append(f"{count} faults of {len(self.done)} kinds in {spent / 60:.0f} minutes, {spent / max(count, 1):.0f} s each; "
                     f"{len(self.skipped)} skipped; {verdict}")  # fmt: skip
        return "\n".join(lines)

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": time.strftime("%H:%M:%S"), **line}, default=str) + "\n")

    def _print(self, sentence: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {sentence}", flush=True)


def _row(name: str, found: list[FaultResult], wrong: int) -> str:
    if not found:
        return f"| {name} | 0 | | | | {wrong} |"
    flows, drained = [one.recovery for one in found], [one.drained for one in found]
    return (f"| {name} | {len(found)} | {statistics.median(flows):.1f} / {max(flows):.1f} | "
            f"{statistics.median(drained):.1f} / {max(drained):.1f} | {min(one.pending for one in found)} | {wrong or ''} |")  # fmt: skip
