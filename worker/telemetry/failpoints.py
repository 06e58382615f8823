"""Failpoints: named places in the code at which a test can kill, stop, fail or delay a process.

They are active only if `COPYDESK_FAILPOINTS` is set, which is meant for tests. Otherwise a failpoint costs one `if`.
The variable has two forms:

- `ingest.claimed=kill, store.turn=sleep:2@3`: the action at each point, in every process. `@3` means only the third
  time that a process reaches the point; without it, only the first time.
- The path of a folder: a point acts if the folder contains a file with its name. The text of the file is the action. A
  process renames the file to `NAME.struck` before it acts, so only one process acts, once, and the test can see it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from worker.telemetry.logs import get_logger

POINTS: dict[str, str] = {
    "dispatch.read": "entries are dispatched on the stream; no claim check is sent",
    "dispatch.sent": "their claim check is on Celery's queue",
    "reap.taken": "entries with an expired lease are taken; no claim check is sent",
    "reap.sent": "their claim checks are on Celery's queue",
    "ingest.received": "a claim check has arrived in a pool process; no entry is claimed",
    "ingest.claimed": "the lease has begun and an attempt is counted",
    "ingest.recognised": "unchanged documents are recognised; no document is parsed",
    "ingest.read": "documents are parsed, validated and enriched; the attempt is still counted",
    "ingest.kept": "the lease is renewed and the attempt is not counted any more",
    "store.begun": "the transaction is about to begin",
    "store.turn": "this process holds the writer lock and has loaded the documents",
    "store.decided": "all is decided, nothing is written",
    "store.complete": "the statements are built; they are sent next, together with the commit",
    "ingest.committed": "the store has committed; no entry is settled",
    "ingest.readded": "an entry whose id another document had is requeued; the others are not settled",
    "ingest.replied": "the receipts are sent; no entry is settled",
    "ingest.settled": "the entries are settled; no outcome is counted",
    "ingest.released": "the store could not be used; the entries are released",
    "submit.added": "a Celery-style producer's document is on the stream",
    "replay.recorded": "an operator's replay of a dead letter is recorded; it is not on the stream",
    "replay.sent": "the replay is on the internal lane",
    "retract.sent": "an operator's retraction is on the stream",
}
"""Each failpoint with the state in which a document is there, in the order of processing."""

ACTIONS: dict[str, str] = {
    "kill": "SIGKILL to this process",
    "exit": "end at once without clean-up, exit code 70",
    "segv": "read address 0",
    "raise": "raise RuntimeError",
    "hang": "sleep forever",
    "sleep": "sleep for the seconds after the colon",
    "stop": "SIGSTOP to this process, until somebody sends SIGCONT",
}

_WRITTEN = os.environ.get("COPYDESK_FAILPOINTS", "")
ARMED = bool(_WRITTEN)

log = get_logger("failpoints")


def failpoint(name: str) -> None:
    """Do the configured action of the failpoint `name`, if there is one."""
    if ARMED:
        _reached(name)


def parse(written: str) -> dict[str, tuple[str, int]]:
    """Parse `name=action@N, …` into a mapping of name → (action, N).

    Raises ValueError with a sentence for the user if a point or an action is unknown.
    """
    plan = {}
    for part in filter(None, (part.strip() for part in written.split(","))):
        name, _, rest = part.partition("=")
        action, _, nth = rest.partition("@")
        if name not in POINTS:
            raise ValueError(f"COPYDESK_FAILPOINTS: there is no point {name!r}")
        if action.partition(":")[0] not in ACTIONS:
            raise ValueError(f"COPYDESK_FAILPOINTS: {action!r} is no action; there are {', '.join(ACTIONS)}")
        plan[name] = (action, int(nth or 1))
    return plan


def announce() -> None:
    """Log an error if failpoints are active, because such a process must not handle real documents."""
    if ARMED:
        log.error(
            "COPYDESK_FAILPOINTS is set: this process will die or hang on purpose",
            next="unset it; it is for tests only",
        )


_FOLDER = Path(_WRITTEN) if ARMED and Path(_WRITTEN).is_dir() else None
_PLAN = parse(_WRITTEN) if _FOLDER is None else {}
_passed: Counter[str] = Counter()
_lock = threading.Lock()


def _reached(name: str) -> None:
    if _FOLDER is not None:
        armed = _FOLDER / name
        try:
            action = armed.read_text("utf-8")
            armed.rename(_FOLDER / f"{name}.struck")
        except FileNotFoundError:
            return  # no action for this point, or another process renamed the file first
    else:
        action, nth = _PLAN.get(name, ("", 0))
        with _lock:
            _passed[name] += 1
            if _passed[name] != nth:
                return
    _act(name, action)


def _act(name: str, action: str) -> None:
    verb, _, seconds = action.strip().partition(":")
    log.error("A failpoint acts", error=f"{name}: {ACTIONS[verb]}")
    if verb == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "exit":
        os._exit(70)
    elif verb == "segv":
        ctypes.string_at(0)
    elif verb == "raise":
        raise RuntimeError(f"failpoint {name}")
    elif verb == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif verb == "hang":
        while True:
            time.sleep(3600)
    else:
        time.sleep(float(seconds))
