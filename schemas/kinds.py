"""The kinds of document, one class each, and how the kind of a document is recognised.

A new kind needs one class here and one example in `examples/valid` (see `schemas/KINDS.md`). A class declares the
fields that only its kind has. Fields that several kinds share (`length`, `price`, `levels`, `ratings`, `startDateTime`,
`items` …) are declared in `Article`. All other fields are kept as written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import AliasChoices, Field

from schemas.article import Article, _Model
from schemas.values import Integer, Label, Text, WebUrl


class Kind(Article):
    """The base class of all kinds. `type` is the kind's name in documents.

    A document without `type` has the kind whose field `shown_by` it contains.
    """

    type: ClassVar[str]
    shown_by: ClassVar[str | None] = None
    own: ClassVar[tuple[str, ...]] = ()
    """Names, as documents write them, of the declared fields that only this kind has."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        KINDS[cls.type] = cls
        fields = {name: field for name, field in cls.model_fields.items() if name not in Article.model_fields}
        cls.own = tuple(field.serialization_alias or field.alias or name for name, field in fields.items())


KINDS: dict[str, type[Kind]] = {}
"""All known kinds by `type`. A document of an unknown kind is stored too, with the warning `unknown_kind`."""


class News(Kind):
    """An article to read. This is the kind of a document that states no other."""

    type = "article"


class Video(Kind):
    """A video. `featuredContent` holds its player."""

    type = "video"


class Course(Kind):
    """A course that consists of lessons."""

    type = "course"


class Book(Kind):
    """A book. Its authors are named in its provider."""

    type = "book"


class Webinar(Kind):
    """A talk on the web at a fixed time."""

    type = "webinar"


class Collection(Kind):
    """A list of other documents, which it `contains`."""

    type = "collection"
    query: Text | None = Field(
        None, description="the condition by which its items are found, where they are not listed"
    )


class Download(Kind):
    """A file to download. `actions` says where it is."""

    type = "download"


class Forum(Kind):
    """A place where people talk."""

    type = "forum"
    members: Integer | None = None


class Answer(Kind):
    """The answer to a frequently asked question."""

    type = "answer"


class Repository(_Model):
    """Where the code of a project lives."""

    url: WebUrl | None = None
    stars: Integer | None = None
    forks: Integer | None = None
    watches: Integer | None = None
    license: Label | None = None


class Code(Kind):
    """A project with its source."""

    type = "code"
    github: Repository | None = None


class Demo(Kind):
    """A demonstration to try out in the browser."""

    type = "demo"


class Conference(Kind):
    """A meeting at a place, from a day to a day."""

    type = "conference"
    location: Label | None = None


class Profile(Kind):
    """A person or a company. What they say of themselves (`overview`, `bio`) is the excerpt."""

    type = "profile"
    excerpt: Text | None = Field(
        None,
        validation_alias=AliasChoices("excerpt", "abstract", "overview", "bio"),
        serialization_alias="excerpt",
    )
    location: Label | None = None
    year_founded: Integer | None = Field(None, alias="yearFounded")


class Sponsorship(Kind):
    """A sponsor's messages, and the days on which they are shown."""

    type = "sponsorship"
    shown_by = "sponsor"


def model_of(tree: Mapping[str, object]) -> type[Article]:
    """Return the class that validates a document: the class of its kind, or `Article` if the kind is unknown."""
    named = tree.get("type")
    if isinstance(named, str) and named.strip():
        return KINDS.get(named.strip().lower(), Article)
    return next((kind for kind in KINDS.values() if kind.shown_by and _shows(tree, kind.shown_by)), Article)


def kind_of(article: Article) -> str:
    """Return the kind: `type` in lower case, else the kind of the article's class, else `article`."""
    named = (article.kind or "").strip().lower()
    return named or (article.type if isinstance(article, Kind) else "article")


def _shows(tree: Mapping[str, object], name: str) -> bool:
    return isinstance(tree.get(name), Mapping)


def build() -> None:
    """Build the validators of all kinds. A worker calls this before it forks, so that its processes share them."""
    every: list[type[Article]] = [Article, *KINDS.values()]
    for kind in every:
        kind.model_rebuild()


def is_known(kind: str) -> bool:
    """Return whether `kind` is in `KINDS`. Documents of other kinds are stored too."""
    return kind in KINDS


__all__ = ["KINDS", "Kind", "build", "is_known", "kind_of", "model_of"]
