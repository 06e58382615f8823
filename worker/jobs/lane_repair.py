"""What a producer can do to its own lane, found and mended.

Whoever may `XADD` may also trim the lane (`MAXLEN`, `MINID`) and choose an id: the largest one leaves no other, and the
lane takes nothing more. Redis cannot forbid either, so they are found by what they leave behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.queue import keys
from worker.queue.lease_queue import (
    AHEAD_SECONDS,
    GROUP,
    ORIGINAL_IDS_EXPIRE_SECONDS,
    LaneState,
    LeaseQueue,
    id_key,
    script,
)
from worker.store.receipts import highest_id

LARGEST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did. `readded`: entries that have an id of now; `vanished`: gone for good, and counted as such."""

    readded: int
    vanished: int


def fault(state: LaneState, now_ms: int) -> str | None:
    """`blocked`: nothing can be added any more; `ahead`: new ids lie in the future; None: neither."""
    ms, seq = id_key(state.last_id)
    if (ms, seq) == (LARGEST, LARGEST):
        return "blocked"
    return "ahead" if ms >= now_ms + AHEAD_SECONDS * 1000 else None


def vanished(state: LaneState) -> int:
    """How many entries somebody trimmed or deleted, and nobody has acknowledged yet."""
    return state.added - state.settled - state.backlog - state.aside


def sentences(lane: dict[str, Any]) -> list[str]:
    """What is wrong with a lane, of its figures, and what to do."""
    name, found = lane["lane"], []
    if lane.get("aside"):
        found.append(
            f"{lane['aside']:,} entries of lane {name} are set aside: a repair was interrupted, and adds them again when it is "
            "run again"
        )
    if lane["missing"] > 0:
        found.append(f"{lane['missing']:,} entries vanished from lane {name} (trimmed or deleted by a producer)")
    elif lane["missing"] < 0:
        found.append(
            f"lane {name} was lost or restored: {-lane['missing']:,} more have an outcome or wait than were added"
        )
    if lane.get("fault") == "blocked":
        found.append(f"lane {name} is blocked: a producer used up its ids, and nothing can be added")
    elif lane.get("fault") == "ahead":
        found.append(f"lane {name} is ahead of time: a producer chose an id from the future")
    behind = lane.get("store_behind")
    if behind:
        since = f"ends at {behind['stored']}, of {behind['stored_at']}" if behind["stored"] else "has nothing of it"
        return [
            f"the store was restored from an older back-up: of lane {name} it {since}, but documents up to {behind['left']}, of "
            f"{behind['left_at']}, had their outcome; ask the crawlers to send again what they sent in between",
            *found,
        ]
    if found and lane["missing"] >= 0:
        found[-1] += f"; what a repair does: copydesk lane repair {name}. Then give that producer a lane of its own"
    return found


def store_behind(client: redis.Redis, engine: Engine, lane: str) -> tuple[str | None, str] | None:
    """(the highest id that the store has a receipt of, the highest that left the lane), where the latter is higher: then the
    store was restored from an older back-up, for an entry leaves its lane after the commit. None: it is not, or the store
    cannot be asked, or what left has an id that a producer chose. The next document that is stored hides it.
    """
    try:
        left = str(client.xinfo_stream(lane)["max-deleted-entry-id"], "ascii")
        with engine.connect() as connection:
            stored = highest_id(connection, lane)
    except (redis.ResponseError, KeyError, SQLAlchemyError):
        return None
    if id_key(left)[0] >= server_ms(client) + AHEAD_SECONDS * 1000 or id_key(stored or "0-0") >= id_key(left):
        return None
    return stored, left


def server_ms(client: redis.Redis) -> int:
    """The server's clock, by which ids are made."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def repair(queue: LeaseQueue) -> Repair:
    """Bring a lane's ids back to the present, and take note of what vanished so that the sum holds again.

    One script: nothing that is added meanwhile is lost, and what workers hold meanwhile is processed again under its
    new id. It holds the server up for about a second per 100,000 entries of the lane.
    """
    limit = server_ms(queue.client) + AHEAD_SECONDS * 1000
    run = queue.client.register_script(script("repair"))
    names = [queue.lane, queue.counters, queue.aside, keys.readded(queue.lane)]
    moved, gone = run(keys=names, args=[GROUP, limit, ORIGINAL_IDS_EXPIRE_SECONDS])
    return Repair(int(moved), max(0, int(gone)))
