"""Edit many dead letters of one cause: change each in the same way, validate it, and replay those that pass."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator

import redis
from sqlalchemy import Engine

from schemas.codes import WORKER_CODES
from schemas.problem import Severity
from worker.dead_letters.dry_run import DryRun
from worker.dead_letters.replay import can_be_replayed, matching_dead_letters, operator, replay
from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.errors import CopydeskError
from worker.store import dead_letters
from worker.store.engine import writing
from worker.store.sql.statements import AnyRow

Change = Callable[[bytes], bytes]
"""A function from a document's bytes to its corrected bytes. Raises ChangeFailed."""

_PAGE = 200
_PROGRAM_SECONDS = 30.0


class ChangeFailed(CopydeskError):
    """Raised when a change cannot be made to a document; the message says why."""


def replacing(old: str, new: str) -> Change:
    """Return a change that replaces every literal `old` by `new`."""
    before, after = old.encode(), new.encode()
    return lambda raw: raw.replace(before, after)


def substituting(pattern: str, new: str) -> Change:
    r"""Return a change that replaces every match of a regular expression by `new`.

    `new` may use groups (`\\1`). `^` and `$` match at each line.

    Raises re.error.
    """
    expression, after = re.compile(pattern.encode(), re.MULTILINE), new.encode()
    expression.sub(after, b"")  # raises on a bad group reference here, before the first match
    return lambda raw: expression.sub(after, raw)


def filtering(command: str) -> Change:
    """Return a change that pipes the document through a program (stdin to stdout, at most 30 s).

    Raises ValueError if the quoting in `command` is not valid.
    """
    arguments = shlex.split(command)

    def change(raw: bytes) -> bytes:
        try:
            done = subprocess.run(arguments, input=raw, capture_output=True, timeout=_PROGRAM_SECONDS, check=True)
        except subprocess.CalledProcessError as error:
            raise ChangeFailed(f"the program ended with {error.returncode}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ChangeFailed(f"the program cannot be run: {type(error).__name__}") from error
        return done.stdout

    return change


def _accepted_after(
    engine: Engine, selection: dead_letters.Filter, change: Change, limits: Limits, plan: DryRun
) -> Iterator[tuple[AnyRow, bytes, bytes]]:
    """Yield (dead letter, bytes before, after) of each one that is valid after the change; counts all in `plan`."""
    for dead_letter, raw in matching_dead_letters(engine, selection):
        if raw is None or not can_be_replayed(dead_letter, raw) or dead_letter.code in WORKER_CODES:
            plan.failing[f"{dead_letter.code} (not an error in its text)"] += 1
            plan.untouched += 1
            continue
        try:
            text = change(raw)
        except ChangeFailed as error:
            plan.failing[str(error)] += 1
            continue
        reading = read(text, has_key=dead_letter.key is not None, limits=limits)
        if reading.rejected:
            first = next(problem.code for problem in reading.problems if problem.severity is Severity.ERROR)
            plan.failing[first] += 1
            plan.untouched += text == raw
            continue
        plan.passing += 1
        if plan.example is None and text != raw:
            plan.example = dead_letter.id, raw, text
        yield dead_letter, raw, text


def plan_for(engine: Engine, selection: dead_letters.Filter, change: Change, limits: Limits) -> DryRun:
    """Do a dry run: count what the change would do. Nothing is changed or sent."""
    plan = DryRun()
    for _ in _accepted_after(engine, selection, change, limits, plan):
        pass
    return plan


def bulk_edit(
    engine: Engine, client: redis.Redis, selection: dead_letters.Filter, change: Change, limits: Limits
) -> tuple[DryRun, int]:
    """Store the change of the dead letters that are valid after it, and replay them; the others stay as they are.

    Returns the counts, and how many were sent. Raises redis.RedisError and SQLAlchemy's errors.
    """
    plan, sent, who = DryRun(), 0, operator()
    page: list[tuple[AnyRow, bytes, bytes]] = []

    def send() -> int:
        if not page:
            return 0
        ids = []
        with writing(engine) as connection:
            for dead_letter, raw, text in page:
                if text == raw or dead_letters.keep_edit(connection, dead_letter, text, who):
                    ids.append(dead_letter.id)
                else:
                    plan.passing -= 1
                    plan.failing["edited or closed by somebody else in the meantime"] += 1
        page.clear()
        return replay(engine, client, dead_letters.Filter(ids=tuple(ids))) if ids else 0

    for dead_letter, raw, text in _accepted_after(engine, selection, change, limits, plan):
        page.append((dead_letter, raw, text))
        if len(page) == _PAGE:
            sent += send()
    return plan, sent + send()
