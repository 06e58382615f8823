"""The document as a pydantic model, as somebody writes it after reading some of the documents."""

from __future__ import annotations

from datetime import datetime

from pydantic import AliasChoices, BaseModel, Field, model_validator


class Provider(BaseModel):
    name: str | None = None
    domain: str


class Image(BaseModel):
    url: str
    width: int | None = None
    height: int | None = None
    title: str | None = None


class Described(BaseModel):
    title: str
    excerpt: str | None = None
    published_at: datetime | None = Field(None, alias="publishedDateTime")
    url: str | None = Field(None, validation_alias=AliasChoices("webUrl", "sourceUrl"))
    amp_url: str | None = Field(None, validation_alias=AliasChoices("ampWebUrl", "ampUrl"))
    cdn_amp_url: str | None = Field(None, validation_alias=AliasChoices("cdnAmpWebUrl", "cdnAmpUrl"))
    kind: str | None = Field(None, alias="type")
    quality: int | None = None
    provider: Provider | None = None
    images: list[Image] = []


class Document(Described):
    url: str = Field(validation_alias=AliasChoices("webUrl", "sourceUrl"))
    category: str | None = None
    heat: int | None = None
    published: bool | None = None
    topics: list[str] = []
    related: list[Described] = []
    secured: str | None = None

    @model_validator(mode="after")
    def _others_once(self) -> Document:
        """Return each related article once, without those that have no URL and without the article itself."""
        others = {entry.url: entry for entry in reversed(self.related) if entry.url and entry.url != self.url}
        self.related = list(reversed(others.values()))
        return self
