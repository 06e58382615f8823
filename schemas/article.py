"""The article as crawlers write it. Three generations of field names are in use.

Values arrive as the text of the document. Only the types in `schemas.values` and `schemas.amounts` decide what is a
number, a time or a boolean. Fields that have no attribute here are kept in `model_extra`, as written. A dump
(`model_dump(mode="json")`, which uses the newest names) can be validated again and gives an equal article.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from schemas.amounts import Duration, Number
from schemas.values import Boolean, ImageUrl, Integer, Label, Text, Timestamp, Title, WebUrl


class _Model(BaseModel):
    # Dumps use the aliases, so that an unknown field called `web_url` cannot replace the attribute `web_url`.
    # `defer_build`: there are twenty classes, and reading one document needs one or two of them.
    model_config = ConfigDict(
        extra="allow", frozen=False, populate_by_name=False, serialize_by_alias=True, defer_build=True
    )


class Image(_Model):
    """A picture of the article. One without a URL is none; a relative one is read against the article's page."""

    url: ImageUrl
    width: Integer | None = None
    height: Integer | None = None
    is_cached: Boolean | None = Field(None, alias="isCached")
    title: Title | None = None


class Provider(_Model):
    """Who published it. `id` is the 2019 name of `domain`."""

    name: Label | None = None
    domain: Label | None = Field(None, validation_alias=AliasChoices("domain", "id"), serialization_alias="domain")


class _Told(_Model):
    """The fields that `Article` and `RelatedArticle` share."""

    title: Title | None = None
    excerpt: Text | None = Field(
        None, validation_alias=AliasChoices("excerpt", "abstract"), serialization_alias="excerpt"
    )
    published_at: Timestamp | None = Field(None, alias="publishedDateTime")
    web_url: WebUrl | None = Field(None, alias="webUrl")
    source_url: WebUrl | None = Field(None, alias="sourceUrl")
    original_url: WebUrl | None = Field(None, alias="originalUrl")
    amp_url: WebUrl | None = Field(
        None, validation_alias=AliasChoices("ampWebUrl", "ampUrl"), serialization_alias="ampWebUrl"
    )
    cdn_amp_url: WebUrl | None = Field(
        None, validation_alias=AliasChoices("cdnAmpWebUrl", "cdnAmpUrl"), serialization_alias="cdnAmpWebUrl"
    )
    kind: Label | None = Field(None, alias="type")
    quality: Integer | None = Field(
        None, validation_alias=AliasChoices("quality", "score"), serialization_alias="quality"
    )
    provider: Provider | None = None
    images: list[Image] = Field(default_factory=list)

    @property
    def primary_url(self) -> str | None:
        """The URL that identifies the article: `webUrl`, else `sourceUrl` (its older name), else `originalUrl`."""
        return self.web_url or self.source_url or self.original_url


class RelatedArticle(_Told):
    """An entry of `related`: an article that tells the same story, whose own document may come later or never."""

    model_config = ConfigDict(frozen=True)  # equal entries of several documents share one object


class Ratings(_Model):
    """What its readers or pupils think of it, as the provider says."""

    average: Number | None = None
    count: Integer | None = None


class Article(_Told):
    """A document that describes one article of any kind.

    What several kinds have in common is typed here, and read wherever it is given; what one kind alone has is in its
    class (`schemas.kinds`).
    """

    name: Title | None = None
    category: Label | None = None
    updated_at: Timestamp | None = Field(None, alias="updatedDateTime")
    heat: Integer | None = None
    published: Boolean | None = None
    locale: Label | None = None
    topics: list[Label] = Field(default_factory=list)
    related: list[RelatedArticle] = Field(default_factory=list)
    length: Duration | None = None
    price: Label | None = None
    levels: list[Label] = Field(default_factory=list)
    ratings: Ratings | None = None
    starts_at: Timestamp | None = Field(None, alias="startDateTime")
    ends_at: Timestamp | None = Field(None, alias="endDateTime")
    items: list[Any] = Field(
        default_factory=list, description="what a collection holds: URLs, or keys of documents of the same source"
    )
    secured: Text | None = None


GENERATIONS = (
    ("excerpt", "abstract"),
    ("ampWebUrl", "ampUrl"),
    ("cdnAmpWebUrl", "cdnAmpUrl"),
    ("quality", "score"),
)
"""Pairs of names of one field, the newer name first. `webUrl` and `sourceUrl` are not a pair, because a document may
have both with different values."""

PRIMARY_URLS = ("webUrl", "sourceUrl", "originalUrl")
"""The fields whose URL can identify an article. The first one that is given does."""

__all__ = ["GENERATIONS", "PRIMARY_URLS", "Article", "Image", "Provider", "Ratings", "RelatedArticle"]
