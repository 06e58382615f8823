"""The news article as crawlers write it, in the three generations of field names that are in use.

Values arrive as the text of the document: the types in `schemas.values` alone decide what is a number, a time or a
boolean. Fields that are not named here land in `model_extra`, as written. What is dumped (`model_dump(mode="json")`,
under the newest names) is read back as the same article.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from schemas.amounts import Duration, Number
from schemas.values import Boolean, ImageUrl, Integer, Text, Timestamp, Topic, WebUrl


class _Model(BaseModel):
    # Dumping by alias keeps an unknown field that happens to be called `web_url` from replacing ours.
    # A class is built when it is first used: there are twenty, and whoever looks at one document needs one or two.
    model_config = ConfigDict(
        extra="allow", frozen=False, populate_by_name=False, serialize_by_alias=True, defer_build=True
    )


class Image(_Model):
    """A picture of the article. One without a URL is none; a relative one is read against the article's page."""

    url: ImageUrl
    width: Integer | None = None
    height: Integer | None = None
    is_cached: Boolean | None = Field(None, alias="isCached")
    title: Text | None = None


class Provider(_Model):
    """Who published it. `id` is the 2019 name of `domain`."""

    name: Text | None = None
    domain: Text | None = Field(None, validation_alias=AliasChoices("domain", "id"), serialization_alias="domain")


class _Told(_Model):
    """What an article and the mention of one in `related` have in common."""

    title: Text | None = None
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
    kind: Text | None = Field(None, alias="type")
    quality: Integer | None = Field(
        None, validation_alias=AliasChoices("quality", "score"), serialization_alias="quality"
    )
    provider: Provider | None = None
    images: list[Image] = Field(default_factory=list)

    @property
    def primary_url(self) -> str | None:
        """The URL that names the article: `webUrl`, else `sourceUrl` (its older name), else `originalUrl`."""
        return self.web_url or self.source_url or self.original_url


class RelatedArticle(_Told):
    """An entry of `related`: an article that tells the same story, whose own document may come later or never."""

    model_config = ConfigDict(frozen=True)  # documents that say the same of an article share one


class Ratings(_Model):
    """What its readers or pupils think of it, as the provider says."""

    average: Number | None = None
    count: Integer | None = None


class Article(_Told):
    """A document that describes one article of any kind.

    What several kinds have in common is typed here, and read wherever it is given; what one kind alone has is in its
    class (`schemas.kinds`).
    """

    name: Text | None = None
    category: Text | None = None
    updated_at: Timestamp | None = Field(None, alias="updatedDateTime")
    heat: Integer | None = None
    published: Boolean | None = None
    locale: Text | None = None
    topics: list[Topic] = Field(default_factory=list)
    related: list[RelatedArticle] = Field(default_factory=list)
    length: Duration | None = None
    price: Text | None = None
    levels: list[Text] = Field(default_factory=list)
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
"""Names of one field, newest first. `webUrl` and `sourceUrl` are not among them: they may differ and both be meant."""

PRIMARY_URLS = ("webUrl", "sourceUrl", "originalUrl")
"""The URLs that may name an article; the first that is given does."""

__all__ = ["GENERATIONS", "PRIMARY_URLS", "Article", "Image", "Provider", "Ratings", "RelatedArticle"]
