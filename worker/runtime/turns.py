"""How many entries of each lane may be under way: its weighted share of the whole. Pure.

All lanes go through one Celery queue, first come first served, so a lane's part of the work is its part of what is under
way. A lane without a backlog leaves its share to the others, and one with a single document finds a short queue.
"""

from __future__ import annotations

from collections.abc import Iterable

from worker.settings import Lane


def shares(lanes: Iterable[Lane], busy: set[str], cap: int, batch: int) -> dict[str, int]:
    """Lane → how many of its entries may be pending, `cap` in all, in whole batches of `batch` and at least one each.

    `busy` names the lanes that had more waiting than they were allowed to hand out.
    """
    known = list(lanes)
    total = sum(lane.weight for lane in known if lane.name in busy)
    found = {}
    for lane in known:
        share = cap * lane.weight // (total if lane.name in busy else total + lane.weight)
        # Whole batches: a rest would travel as a small one.
        found[lane.name] = max(min(batch, cap), share // batch * batch)
    return found
