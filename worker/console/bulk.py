"""Actions on all dead letters of a cause: a dry run first, then a replay of those that would pass; or discarding them."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from worker.console.asked import Asked, Refused
from worker.console.dead import filters, wanted_of
from worker.console.desk import Desk
from worker.console.jobs import Busy, Job
from worker.console.login import who
from worker.console.page import away, path, render
from worker.operate import bulk
from worker.store import dead

_MOST_DISCARDED = 5000
"""In one request; a transaction each."""


def start(desk: Desk, asked: Asked) -> Response:
    """Begin a dry run, or a replay of what a finished dry run was about."""
    before = desk.jobs.find(asked.sent("job"))
    if before is not None:
        if before.state != "done" or before.doing != "try":
            raise Refused(409, "That dry run has not come to its end.")
        wanted, client = before.wanted, desk.client
    else:
        wanted, client = wanted_of(filters(asked, sent=True)), None
        if asked.sent("do") == "replay":
            raise Refused(409, "A dry run comes first.")
    with desk.engine.connect() as connection:
        # Neither a dry run nor a replay goes after those that come meanwhile.
        wanted = replace(wanted, upto=wanted.upto or dead.highest(connection, wanted))
        total = dead.count(connection, wanted)
    steps = bulk.steps(desk.engine, wanted, desk.limits, client, who(desk, asked))
    try:
        job = desk.jobs.start("replay" if client else "try", wanted, total, steps)
    except Busy as busy:
        raise Refused(409, str(busy)) from None
    return away(path("dead", "jobs", job.id))


def page(desk: Desk, asked: Asked) -> Response:
    """How far it is, and what came out."""
    return render(asked, "job.html", {"job": _job(desk, asked)})


def stop(desk: Desk, asked: Asked) -> Response:
    """End it after its present step; what was sent is sent."""
    job = _job(desk, asked)
    job.stop.set()
    return away(path("dead", "jobs", job.id))


def _job(desk: Desk, asked: Asked) -> Job:
    job = desk.jobs.find(asked.request.path_params["job"])
    if job is None:
        raise Refused(404, "There is no such action, or it is forgotten.")
    return job


def discard(desk: Desk, asked: Asked) -> Response:
    """Close all open dead letters of a cause, as they were counted on the page that asked."""
    reason, wanted = asked.sent("reason"), filters(asked, sent=True)
    if not reason:
        raise Refused(422, "Say why, for the record.")
    if not wanted["code"]:
        raise Refused(422, "Name the cause: all dead letters at once are discarded by the command line alone.")
    with desk.engine.connect() as connection:
        count = dead.count(connection, wanted_of(wanted))
        if asked.sent("count") != str(count):
            raise Refused(409, f"Meanwhile there are {count:,} of them. Load the page again.")
        if count > _MOST_DISCARDED:
            raise Refused(422, f"More than {_MOST_DISCARDED:,} at once: copydesk dead discard does that.")
        upto = dead.highest(connection, wanted_of(wanted))
    bulk.discard(desk.engine, replace(wanted_of(wanted), upto=upto), reason, who(desk, asked))
    desk.at_store.forget()
    return away("/dead")
