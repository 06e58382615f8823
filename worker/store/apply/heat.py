"""Compute heat, lead and `is_published` of articles from their current links, in the transaction that changed these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from schemas.problem import problem
from schemas.receipt import Outcome
from worker.enrichment.heat import NEVER_OUTRANKED, Heat, Peer, heat_of
from worker.heat_rules import AllRules
from worker.store.decide.batch_item import BatchItem
from worker.store.sql.statements import fetch, fetch_from, set_values
from worker.store.tables import articles, documents, links

HeatInputs = dict[int, Heat]

_LISTED = select(links.c.source_id, links.c.rank, links.c.target_id).where(
    links.c.kind == "related", links.c.target_id.is_not(None)
)


class _Linked(NamedTuple):
    rank: int
    id: int


def compute_heat(connection: Connection, ids: Iterable[int], rules: AllRules) -> HeatInputs:
    """Compute the heat of those of `ids` that are not stubs, and write the rows that changed.

    Returns id → heat of each article that has one, changed or not. Call it under the writer lock.
    """
    columns = (articles.c.id, articles.c.is_stub, articles.c.document_id, articles.c.quality, articles.c.published_at,
               articles.c.title, articles.c.url_hash, articles.c.reported_heat, articles.c.reported_published, articles.c.related_count,
               articles.c.outranked_by, articles.c.heat, articles.c.is_published, articles.c.lead_id)  # fmt: skip
    rows = [row for row in fetch(connection, columns, articles.c.id, ids) if not row.is_stub]
    related = _related(connection, [row.id for row in rows if row.quality is not None])
    peers = _peers(connection, rows, {one.id for linked in related.values() for one in linked})
    sources = _source_names(connection, {row.document_id for row in rows}) if rules.by_source else {}
    heats: HeatInputs = {}
    changes = []
    for row in rows:
        linked = related.get(row.id, [])
        heat = heat_of(
            peers[row.id],
            [peers[one.id] for one in linked],
            count=row.related_count if row.related_count is not None else len(linked),
            rules=rules.of(sources.get(row.document_id, "")),
            outranked_by=row.outranked_by,
        )
        values: dict[str, Any] = {"id": row.id, "heat": row.reported_heat, "is_published": row.reported_published,
                                  "lead_id": None}  # fmt: skip
        if heat is not None:
            heats[row.id] = heat
            lead = _lead_id(row, heat, linked)
            values |= {"heat": heat.heat, "is_published": heat.is_published, "lead_id": lead}
        if (row.heat, row.is_published, row.lead_id) != (values["heat"], values["is_published"], values["lead_id"]):
            changes.append(values)
    set_values(connection, articles, changes, "id")
    return heats


def _source_names(connection: Connection, document_ids: set[int]) -> dict[int, str]:
    found = fetch(connection, (documents.c.id, documents.c.source), documents.c.id, document_ids)
    return {row.id: row.source for row in found}


def _lead_id(row: Row[Any], heat: Heat, linked: Sequence[_Linked]) -> int | None:
    """Return the id of the article that leads the story of `row`; None: `row` lists the lead, and it is not stored."""
    if heat.lead is not None:
        return linked[heat.lead].id
    if row.outranked_by not in (None, NEVER_OUTRANKED):
        return next((one.id for one in linked if one.rank == row.outranked_by), None)
    return int(row.id)


def _related(connection: Connection, ids: list[int]) -> dict[int, list[_Linked]]:
    """Return the related articles of each of `ids`, in the order of their document."""
    related: dict[int, list[_Linked]] = defaultdict(list)
    for source, rank, target in fetch_from(connection, _LISTED, links.c.source_id, ids):
        related[source].append(_Linked(rank, target))
    for linked in related.values():
        linked.sort()
    return related


def _peers(connection: Connection, rows: Sequence[Any], ids: set[int]) -> dict[int, Peer]:
    """Return one `Peer` for each of `ids` and of `rows`.

    Each is built once, because members of a story list each other and a peer's rank is expensive to compute.
    """
    peers = {row.id: Peer(row.quality, row.published_at, row.title, row.url_hash) for row in rows}
    columns = (articles.c.id, articles.c.quality, articles.c.published_at, articles.c.title, articles.c.url_hash)
    for id_, *values in fetch(connection, columns, articles.c.id, ids - peers.keys()):
        peers[id_] = Peer(*values)
    return peers


def sources_of(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Return the articles that list one of `ids` as related: their heat depends on it."""
    found = fetch(connection, (links.c.source_id, links.c.kind), links.c.target_id, ids)
    return {row.source_id for row in found if row.kind == "related"}


def compare_heat(version: BatchItem, heats: HeatInputs, rules: AllRules) -> None:
    """Add a warning to `version` if its document reports another heat than the rules give.

    Does nothing where the rules of its source do not ask for this warning.
    """
    heat = heats.get(version.article_id or 0)
    copy = version.copy
    if heat is None or copy is None or version.outcome not in (Outcome.STORED, Outcome.UPDATED):
        return
    if not rules.warns(version.source):
        return
    reported = [(name, mention, found) for name, mention, found in (
        ("heat", copy.reported_heat, heat.heat), ("published", copy.reported_published, heat.is_published),
    ) if mention is not None and mention != found]  # fmt: skip
    if reported:
        mention = ", ".join(f"{name} {str(value).lower()}" for name, value, _ in reported)
        found = ", ".join(f"{name} {str(value).lower()}" for name, _, value in reported)
        message = f"Reported is {mention}; by the rules it is {found}."
        version.problems = (*version.problems, problem("heat_differs", message, field=reported[0][0], expected=found))
