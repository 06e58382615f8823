"""The JSON of one entry of the change feed (the stream `articles`)."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Change(BaseModel):
    """An article or a story has changed. Its new content is in the store.

    `outcome` is that of the document that changed the article. A story is `changed` (new, larger, smaller or with another
    lead) or `ended` (its articles are in other stories now). `id` and `url` are those of the article, or of the story and
    its lead. `source` and `key` name the document that changed the article; a retraction has only these two.
    """

    model_config = ConfigDict(extra="forbid")

    what: Literal["article", "story"]
    id: int | None = None
    outcome: Literal["stored", "updated", "retracted", "changed", "ended"]
    url: str | None = None
    source: str | None = None
    key: str | None = None
    at: AwareDatetime
