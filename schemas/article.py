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
    """A picture of the article.

    A path such as `/assets/1.jpg` belongs to the sender's own site. It is kept as written and gives no image.
    """

    url: ImageUrl
    width: Integer | None = None
    height: Integer | None = None
    is_cached: Boolean | None = Field(None, alias="isCached")
    title: Title | None = None


class Provider(_Model):
    """The publisher. `id` is the 2019 name of `domain`."""

    name: Label | None = None
    domain: Label | None = Field(None, validation_alias=AliasChoices("domain", "id"), serialization_alias="domain")


class _ArticleFields(_Model):
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
    quality: Integer | None = None
    provider: Provider | None = None
    images: list[Image] = Field(default_factory=list)

    @property
    def primary_url(self) -> str | None:
        """The URL that identifies the article: `webUrl`, else `sourceUrl` (its older name), else `originalUrl`."""
        return self.web_url or self.source_url or self.original_url


class RelatedArticle(_ArticleFields):
    """An entry of `related`: an article on the same story. Its own document may come later or never."""

    model_config = ConfigDict(frozen=True)  # equal entries of several documents share one object

    url: WebUrl | None = Field(None, description="The 2019 name of webUrl, in an entry of related.")

    @property
    def primary_url(self) -> str | None:
        """The URL that identifies the article: the first one of `PRIMARY_URLS` or `url`."""
        return super().primary_url or self.url

    @property
    def has_url(self) -> bool:
        """Whether the entry has a URL of any kind. It can then be linked to an article."""
        return (self.primary_url or self.amp_url or self.cdn_amp_url) is not None


class Ratings(_Model):
    """What its readers or students think of it, as the provider reports."""

    average: Number | None = None
    count: Integer | None = None


class Article(_ArticleFields):
    """A document that describes one article of any kind.

    Fields that several kinds share are declared here and read in all kinds. Fields of one kind only are in its class
    (`schemas.kinds`).
    """

    name: Title | None = None
    category: Label | None = None
    updated_at: Timestamp | None = Field(None, alias="updatedDateTime")
    heat: Integer | None = None
    score: Integer | None = Field(None, description="The 2019 name of heat.")
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
        default_factory=list,
        description="The documents of a collection: their URLs, or their keys if the source is the same.",
    )
    secured: Text | None = None


GENERATIONS = (
    ("excerpt", "abstract"),
    ("ampWebUrl", "ampUrl"),
    ("cdnAmpWebUrl", "cdnAmpUrl"),
)
"""Pairs of names of one field, the newer name first. `webUrl` and `sourceUrl` are not a pair, because a document may
have both with different values."""

PRIMARY_URLS = ("webUrl", "sourceUrl", "originalUrl")
"""The fields whose URL can identify an article. The first one that is given does."""

RELATED_URLS = (*PRIMARY_URLS, "url", "ampWebUrl", "ampUrl", "cdnAmpWebUrl", "cdnAmpUrl")
"""The fields by which an entry of `related` can be linked to an article."""

__all__ = ["GENERATIONS", "PRIMARY_URLS", "RELATED_URLS", "Article", "Image", "Provider", "Ratings", "RelatedArticle"]
