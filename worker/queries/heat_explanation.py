"""Explain the heat of an article and of its story: the terms of the sum, and which article leads."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import select
from sqlalchemy.engine import Connection

from worker.enrichment.heat import NEVER_OUTRANKED, NOT_LEAD, heat_terms
from worker.heat_rules import AllRules, HeatRules
from worker.queries.rows import AnyRow
from worker.queries.stories import Story
from worker.store.tables import articles, documents


class ExplainedHeat(TypedDict):
    """The heat of an article, what its document reports, and the rules. `explanation` is a sentence."""

    heat: int | None
    reported_heat: int | None
    quality: int | None
    related: int | None
    always_leads: bool
    bonus: int
    floor: int
    threshold: int
    explanation: str


class ExplainedStoryHeat(TypedDict):
    """The heat of a story: the quality of its lead, and how many other articles it has."""

    heat: int | None
    quality: int
    others: int
    bonus: int
    floor: int
    explanation: str


def explain_heat(connection: Connection, row: AnyRow, rules: AllRules) -> ExplainedHeat:
    """Return the heat of an article (a row of `articles`), what the document reports, and how the heat is computed."""
    own = _rules_of(connection, row.document_id, rules)
    if row.quality is not None and row.heat == NOT_LEAD and row.lead_id != row.id:
        lead = connection.execute(select(articles).where(articles.c.id == row.lead_id)).first()
        leads = "an article that its document names" if lead is None else f"{lead.canonical_url or lead.title}"
        quality = "" if lead is None or lead.quality is None else f" (quality {lead.quality})"
        text = f"{NOT_LEAD}: it does not lead; {leads}{quality} ranks before its quality {row.quality}."
    else:
        text = heat_terms(row.heat, row.quality, row.related_count or 0, own, each="related article")
    return {
        "heat": row.heat,
        "reported_heat": row.reported_heat,
        "quality": row.quality,
        "related": row.related_count,
        "always_leads": row.outranked_by == NEVER_OUTRANKED,
        "bonus": own.bonus,
        "floor": own.floor,
        "threshold": own.threshold,
        "explanation": text,
    }


def explain_story_heat(connection: Connection, story: Story | None, rules: AllRules) -> ExplainedStoryHeat | None:
    """Return the heat of a story (from `worker.queries.stories`) and how it is computed. None without a story."""
    if story is None or story["lead"] is None:
        return None
    document_id = connection.scalar(select(articles.c.document_id).where(articles.c.id == story["lead"]["id"]))
    own = _rules_of(connection, document_id, rules)
    quality = story["lead"]["quality"] or 0
    text = heat_terms(story["heat"], quality, story["size"] - 1, own, each="other article")
    return {
        "heat": story["heat"],
        "quality": quality,
        "others": story["size"] - 1,
        "bonus": own.bonus,
        "floor": own.floor,
        "explanation": text,
    }


def _rules_of(connection: Connection, document_id: int | None, rules: AllRules) -> HeatRules:
    if document_id is None or not rules.by_source:
        return rules.common
    return rules.of(connection.scalar(select(documents.c.source).where(documents.c.id == document_id)) or "")
