"""Receipts for crawlers, and the JSON that commands print with `--json`."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.problem import Problem


class Outcome(StrEnum):
    """The result for a document. Each document has exactly one."""

    STORED = "stored"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    RETRACTED = "retracted"
    REJECTED = "rejected"


class _Form(BaseModel):
    # Later versions may add fields. Readers with an older package or an older schema must continue to work.
    model_config = ConfigDict(extra="ignore")


class Receipt(_Form):
    """The outcome of one document: on `reply_to`, and by `explain --json`.

    `readded_as` is present only if the operators had to add the document to the lane again: it is the new id, and `id`
    stays that of the producer.
    """

    id: str
    lane: str
    source: str = ""
    key: str | None = None
    outcome: Outcome | Literal["pending"]
    url: str | None = None
    problems: list[Problem] = []
    received_at: AwareDatetime | None = None
    settled_at: AwareDatetime | None = None
    worker: str | None = None
    attempts: int = 1
    readded_as: str | None = Field(None, exclude_if=lambda id_: id_ is None)


class IngestResult(_Form):
    """One line of `ingest --json` and `submit --wait --json`."""

    id: str
    lane: str
    path: str
    outcome: Outcome | Literal["pending"]
    url: str | None = None
    problems: list[Problem] = []


class Counts(_Form):
    """How many documents had each outcome."""

    submitted: int = 0
    stored: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    retracted: int = 0
    rejected: int = 0


class Summary(_Form):
    """The last line of `ingest --json` and `submit --wait --json`."""

    summary: Counts


class CheckResult(_Form):
    """One line of `check --json`."""

    path: str
    verdict: Literal["accepted", "rejected"]
    problems: list[Problem] = []
