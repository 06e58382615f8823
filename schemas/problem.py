"""What can be wrong with a document, as data: one stable code for each mistake.

Codes are part of the public contract: crawlers branch on them, operators filter by them. The table `CODES` is the only
place where one is defined; `schemas/README.md` is generated from it and a test holds an example against each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Severity(StrEnum):
    """`error` rejects the document; `warning` costs at most the part it names."""

    ERROR = "error"
    WARNING = "warning"


class Problem(BaseModel):
    """One problem with a document, as shown by `check`, `dead show`, the log and on `reply_to`.

    `field` is written `related[2].publishedDateTime`. `line` and `column` (in characters) count from 1 in the whole
    document, the opening `---` being line 1. `value` is a short masked excerpt, never the whole.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    severity: Severity
    message: str
    field: str | None = None
    line: int | None = None
    column: int | None = None
    expected: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A problem code: what it means and what its sender should do."""

    name: str
    severity: Severity
    meaning: str
    remedy: str
