"""Actions on many dead letters in the background: a dry run or a replay that can be watched and stopped."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from worker.dead_letters.bulk_edit import Change, changed_lines, replacing, substituting_apart
from worker.dead_letters.dry_run import DryRun
from worker.dead_letters.redacted_text import redact
from worker.errors import CopydeskError
from worker.store.dead_letters import Filter
from worker.store.engine import driver_error
from worker.telemetry.logs import get_logger, mask

log = get_logger("console")

_MAX_JOBS = 50
_MAX_RUNNING = 2
_EXAMPLE_LINES = 20

Doing = Literal["try", "replay"]


@dataclass(frozen=True, slots=True)
class TextEdit:
    """An edit of many documents: replace each `old`, as written or as a regular expression, by `new`."""

    old: str
    new: str
    is_pattern: bool = False

    def change(self) -> Change:
        """Return it as a function of a document's bytes. Raises re.error."""
        return (substituting_apart if self.is_pattern else replacing)(self.old, self.new)


class Busy(CopydeskError):
    """Raised when the limit of running jobs is reached."""


@dataclass(slots=True)
class Job:
    """One action. `doing`: a dry run, or a replay. `total`: the number of dead letters it is about; `error`: why it failed."""

    id: str
    doing: Doing
    filter: Filter
    total: int
    edit: TextEdit | None = None
    """The edit that is made to each before it is tried or replayed."""
    progress: DryRun = field(default_factory=DryRun)
    state: Literal["running", "done", "stopped", "failed"] = "running"
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def example(self) -> tuple[int, list[str]] | None:
        """A dead letter that passes after the edit, and the lines that the edit changes, without secrets."""
        if self.progress.example is None:
            return None
        id_, before, after = self.progress.example
        was, now = (redact(raw).text.encode("utf-8", "replace") for raw in (before, after))
        return id_, changed_lines(was, now, _EXAMPLE_LINES)


class Jobs:
    """The jobs of this process; the newest fifty are kept."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def start(
        self, doing: Doing, filter: Filter, total: int, steps: Iterator[DryRun], edit: TextEdit | None = None
    ) -> Job:
        """Start a job in a thread. Raises Busy."""
        with self._lock:
            if sum(job.state == "running" for job in self._jobs.values()) >= _MAX_RUNNING:
                raise Busy("Two such actions are running. Wait until one of them has ended.")
            job = Job(secrets.token_urlsafe(9), doing, filter, total, edit)
            self._jobs[job.id] = job
            while len(self._jobs) > _MAX_JOBS:
                self._jobs.popitem(last=False)
        threading.Thread(target=self._run, args=(job, steps), daemon=True).start()
        return job

    def find(self, id_: str) -> Job | None:
        """Return the job with this id; None if it is not kept any more."""
        with self._lock:
            return self._jobs.get(id_)

    def _run(self, job: Job, steps: Iterator[DryRun]) -> None:
        try:
            for progress in steps:
                job.progress = progress
                if job.stop.is_set():
                    job.state = "stopped"
                    return
        except Exception as error:  # noqa: BLE001  the page shows why it ended, whatever it was
            job.error = mask(str(driver_error(error))).strip()
            job.state = "failed"
            log.warning("An action on dead letters ended early", action=job.doing, error=job.error)
            return
        job.state = "done"
