"""Compute heat, lead and `is_published` of an article from the articles that it lists. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.problem import Problem, problem
from worker.enrichment.heat import NEVER_OUTRANKED, Heat, Peer, heat_of
from worker.heat_rules import HeatRules
from worker.store.decide.stored import Row


def own_heat(
    article_id: int,
    quality: object,
    *,
    related: Sequence[tuple[int, int]],
    peers: Mapping[int, Peer],
    count: int | None,
    outranked_by: int | None,
    rules: HeatRules,
) -> tuple[Heat, Row] | None:
    """Return an article's heat and its columns; None: it has no quality, so its heat is as reported.

    `related`: (rank, article id) of each article that it lists, in order. `peers`: the values of these and its own.
    `count`: the entries of its document. `outranked_by`: the rank of the entry that leads by the values in the document.
    """
    if quality is None:
        return None
    heat = heat_of(
        peers[article_id],
        [peers[id_] for _, id_ in related],
        count=count if count is not None else len(related),
        rules=rules,
        outranked_by=outranked_by,
    )
    if heat is None:
        return None
    lead: int | None = article_id
    if heat.lead is not None:
        lead = related[heat.lead][1]
    elif outranked_by not in (None, NEVER_OUTRANKED):
        lead = next((id_ for rank, id_ in related if rank == outranked_by), None)
    return heat, {"heat": heat.heat, "is_published": heat.is_published, "lead_id": lead}


def differing_heat(heat: Heat, reported: int | None, is_published: bool | None) -> Problem | None:
    """Return the warning that a document reports another heat than the rules give; None if it does not."""
    differing = [
        (name, value, computed)
        for name, value, computed in (
            ("heat", reported, heat.heat),
            ("published", is_published, heat.is_published),
        )
        if value is not None and value != computed
    ]
    if not differing:
        return None
    stated = ", ".join(f"{name} {str(value).lower()}" for name, value, _ in differing)
    computed = ", ".join(f"{name} {str(value).lower()}" for name, _, value in differing)
    message = f"Reported is {stated}; by the rules it is {computed}."
    return problem("heat_differs", message, field=differing[0][0], expected=computed)
