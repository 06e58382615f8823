"""The JSON of one entry of the change feed (the stream `articles`)."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Change(BaseModel):
    """An article or a story is different now; what it is like is in the store.

    An article's `outcome` is that of the document which changed it; a story is `changed` (new, grown, shrunk or with
    another lead) or has `ended` (its articles went to other stories). `id` and `url` are the article's, or the story's and
    its lead's; `source` and `key` name the document that changed the article (a retraction has them alone).
    """

    model_config = ConfigDict(extra="forbid")

    what: Literal["article", "story"]
    id: int | None = None
    outcome: Literal["stored", "updated", "retracted", "changed", "ended"]
    url: str | None = None
    source: str | None = None
    key: str | None = None
    at: AwareDatetime
