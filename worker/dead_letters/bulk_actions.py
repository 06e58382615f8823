"""Replay or discard many dead letters in small steps, so that an operator can see the progress and stop."""

from __future__ import annotations

from collections.abc import Iterator

import redis
from sqlalchemy import Engine

from schemas.codes import WORKER_CODES
from worker.dead_letters.dry_run import Advance, DryRun, last_of
from worker.dead_letters.replay import can_be_replayed, matching_dead_letters, operator, problems_now, replay
from worker.documents.limits import Limits
from worker.store import dead_letters
from worker.store.engine import writing

_STEP = 50


def dry_run(
    engine: Engine, selection: dead_letters.Filter, limits: Limits, advance: Advance = lambda _: None
) -> DryRun:
    """Count what would happen if the dead letters were replayed now. Nothing is sent."""
    return last_of(steps(engine, selection, limits), advance)


def steps(
    engine: Engine,
    selection: dead_letters.Filter,
    limits: Limits,
    client: redis.Redis | None = None,
    who: str | None = None,
) -> Iterator[DryRun]:
    """Validate each dead letter and replay those that pass; yields the counts so far after each step of 50.

    Without a `client` it is a dry run. `who`: the operator, for the record. Raises redis.RedisError and SQLAlchemy's
    errors; documents that were sent before stay sent.
    """
    done = DryRun()
    passing: list[int] = []
    for dead_letter, raw in matching_dead_letters(engine, selection):
        errors = problems_now(dead_letter, raw, limits)
        done.seen += 1
        if dead_letter.code in WORKER_CODES and can_be_replayed(dead_letter, raw):
            done.untried += 1
        elif errors:
            done.failing[errors[0].code] += 1
        else:
            done.passing += 1
            passing.append(dead_letter.id)
        if done.seen % _STEP == 0:
            done.sent += _send(engine, client, passing, who)
            yield done
    done.sent += _send(engine, client, passing, who)
    yield done


def _send(engine: Engine, client: redis.Redis | None, ids: list[int], who: str | None) -> int:
    sent = replay(engine, client, dead_letters.Filter(ids=tuple(ids)), who=who) if client is not None and ids else 0
    ids.clear()
    return sent


def discard(
    engine: Engine,
    selection: dead_letters.Filter,
    reason: str,
    who: str | None = None,
    advance: Advance = lambda _: None,
) -> int:
    """Close dead letters permanently; returns how many."""
    count, who = 0, who or operator()
    for seen, (dead_letter, _) in enumerate(matching_dead_letters(engine, selection), 1):
        with writing(engine) as connection:
            count += dead_letters.discard(connection, dead_letter.id, who, reason)
        advance(seen)
    return count
