"""Edit many dead letters of one cause: change each in the same way, validate it, and replay those that pass."""

from __future__ import annotations

import difflib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice

import redis
from sqlalchemy import Engine

from schemas.codes import WORKER_CODES
from schemas.problem import Severity
from worker.dead_letters.dry_run import Advance, DryRun, last_of
from worker.dead_letters.replay import can_be_replayed, matching_dead_letters, operator, replay
from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.errors import CopydeskError
from worker.store import dead_letters
from worker.store.engine import writing
from worker.store.sql.statements import AnyRow

Change = Callable[[bytes], bytes]
"""A function from a document's bytes to its corrected bytes. Raises ChangeFailed."""

_STEP = 20
"""Dead letters that are stored and sent together, and after which the counts are shown."""
_PROGRAM_SECONDS = 30.0
_PATTERN_SECONDS = 2.0
_SUBSTITUTE = """import re, sys
pattern, new = (text.encode("utf-8", "surrogateescape") for text in sys.argv[1:])
sys.stdout.buffer.write(re.compile(pattern, re.MULTILINE).sub(new, sys.stdin.buffer.read()))
"""


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


def substituting_apart(pattern: str, new: str) -> Change:
    """Return the change of `substituting`, made in a process of its own that is killed after two seconds.

    For a process that serves others: a pattern may need hours for a document, and no thread can run meanwhile.

    Raises re.error.
    """
    substituting(pattern, new)
    return _through([sys.executable, "-I", "-c", _SUBSTITUTE, pattern, new], _PATTERN_SECONDS)


def filtering(command: str) -> Change:
    """Return a change that pipes the document through a program (stdin to stdout, at most 30 s).

    Raises ValueError if the quoting in `command` is not valid.
    """
    return _through(shlex.split(command), _PROGRAM_SECONDS)


def _through(arguments: list[str], seconds: float) -> Change:
    def change(raw: bytes) -> bytes:
        try:
            done = subprocess.run(arguments, input=raw, capture_output=True, timeout=seconds, check=True)
        except subprocess.CalledProcessError as error:
            raise ChangeFailed(f"the program ended with {error.returncode}") from error
        except subprocess.TimeoutExpired as error:
            raise ChangeFailed(f"the change takes longer than {seconds:g} s") from error
        except OSError as error:
            raise ChangeFailed(f"the program cannot be run: {type(error).__name__}") from error
        return done.stdout

    return change


def changed_lines(before: bytes, after: bytes, limit: int = 10) -> list[str]:
    """Return the first lines that differ, each after `-` or `+`."""
    was, now = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    diff = difflib.unified_diff(was, now, n=0, lineterm="")
    return list(islice((line for line in diff if line[:3] not in ("---", "+++", "@@ ")), limit))


def _accepted_after(
    engine: Engine, selection: dead_letters.Filter, change: Change, limits: Limits, plan: DryRun
) -> Iterator[tuple[AnyRow, bytes, bytes] | None]:
    """Yield (dead letter, bytes before, after) of each one that is valid after the change, and None for each other.

    Counts all in `plan`.
    """
    for dead_letter, raw in matching_dead_letters(engine, selection):
        plan.seen += 1
        if raw is None or not can_be_replayed(dead_letter, raw) or dead_letter.code in WORKER_CODES:
            plan.failing[f"{dead_letter.code} (not an error in its text)"] += 1
            plan.untouched += 1
            yield None
            continue
        try:
            text = change(raw)
        except ChangeFailed as error:
            plan.failing[str(error)] += 1
            yield None
            continue
        reading = read(text, has_key=dead_letter.key is not None, limits=limits)
        if reading.rejected:
            first = next(problem.code for problem in reading.problems if problem.severity is Severity.ERROR)
            plan.failing[first] += 1
            plan.untouched += text == raw
            yield None
            continue
        plan.passing += 1
        if plan.example is None and text != raw:
            plan.example = dead_letter.id, raw, text
        yield dead_letter, raw, text


def plan_for(
    engine: Engine, selection: dead_letters.Filter, change: Change, limits: Limits, advance: Advance = lambda _: None
) -> DryRun:
    """Do a dry run: count what the change would do. Nothing is changed or sent."""
    return last_of(steps(engine, selection, change, limits), advance)


def bulk_edit(
    engine: Engine,
    client: redis.Redis,
    selection: dead_letters.Filter,
    change: Change,
    limits: Limits,
    advance: Advance = lambda _: None,
) -> tuple[DryRun, int]:
    """Store the change of the dead letters that are valid after it, and replay them; the others stay as they are.

    Returns the counts, and how many were sent. Raises redis.RedisError and SQLAlchemy's errors.
    """
    plan = last_of(steps(engine, selection, change, limits, client), advance)
    return plan, plan.sent


def steps(
    engine: Engine,
    selection: dead_letters.Filter,
    change: Change,
    limits: Limits,
    client: redis.Redis | None = None,
    who: str | None = None,
) -> Iterator[DryRun]:
    """Make the change to each dead letter, and replay those that are valid after it; yields the counts so far.

    Without a `client` it is a dry run. `who`: the operator, for the record. Raises redis.RedisError and SQLAlchemy's
    errors; documents that were sent before stay sent.
    """
    plan, who = DryRun(), who or operator()
    page: list[tuple[AnyRow, bytes, bytes]] = []
    for accepted in _accepted_after(engine, selection, change, limits, plan):
        if accepted is not None:
            page.append(accepted)
        if len(page) == _STEP:
            plan.sent += _send(engine, client, page, plan, who)
        if plan.seen % _STEP == 0:
            yield plan
    plan.sent += _send(engine, client, page, plan, who)
    yield plan


def _send(
    engine: Engine, client: redis.Redis | None, page: list[tuple[AnyRow, bytes, bytes]], plan: DryRun, who: str
) -> int:
    if client is None or not page:
        page.clear()
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
    return replay(engine, client, dead_letters.Filter(ids=tuple(ids)), who=who) if ids else 0
