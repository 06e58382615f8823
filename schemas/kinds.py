"""The kinds of document, one class each, and how one is recognised.

A new kind is one class here and one example in `examples/valid`: `schemas/KINDS.md` shows it. A class names the fields that
only its kind has; what several kinds share (`length`, `price`, `levels`, `ratings`, `startDateTime`, `items` …) is typed in
`Article`, and every other field is kept as written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from schemas.article import Article, _Model
from schemas.values import Integer, Text, WebUrl


class Kind(Article):
    """An article of a kind. `type` names it; a document without `type` is of the kind whose `shown_by` it has."""

    type: ClassVar[str]
    shown_by: ClassVar[str | None] = None
    own: ClassVar[tuple[str, ...]] = ()
    """Names on the wire of the typed fields that only this kind has."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        KINDS[cls.type] = cls
        fields = {name: field for name, field in cls.model_fields.items() if name not in Article.model_fields}
        cls.own = tuple(field.serialization_alias or field.alias or name for name, field in fields.items())


KINDS: dict[str, type[Kind]] = {}
"""Every kind that producers are known to send; others are kept all the same, with a warning."""


class News(Kind):
    """A story to read: what a document is that says nothing else."""

    type = "article"


class Video(Kind):
    """Something to watch; `featuredContent` holds its player."""

    type = "video"


class Course(Kind):
    """Something to learn, in lessons."""

    type = "course"


class Book(Kind):
    """Something to read at length; its authors are with its provider."""

    type = "book"


class Webinar(Kind):
    """A talk on the web at an hour."""

    type = "webinar"


class Collection(Kind):
    """A list of other documents, which it `contains`."""

    type = "collection"
    query: Text | None = Field(
        None, description="the condition by which its items are found, where they are not listed"
    )


class Download(Kind):
    """A file to take; `actions` says where it is."""

    type = "download"


class Forum(Kind):
    """A place where people talk."""

    type = "forum"
    members: Integer | None = None


class Answer(Kind):
    """The answer to a question that many have."""

    type = "answer"


class Repository(_Model):
    """Where the code of a project lives."""

    url: WebUrl | None = None
    stars: Integer | None = None
    forks: Integer | None = None
    watches: Integer | None = None
    license: Text | None = None


class Code(Kind):
    """A project with its source."""

    type = "code"
    github: Repository | None = None


class Demo(Kind):
    """Something to try out in the browser."""

    type = "demo"


class Conference(Kind):
    """A meeting at a place, from a day to a day."""

    type = "conference"
    location: Text | None = None


class Profile(Kind):
    """A person or a company. What they say of themselves (`overview`, `bio`) is the excerpt."""

    type = "profile"
    excerpt: Text | None = Field(
        None,
        validation_alias=AliasChoices("excerpt", "abstract", "overview", "bio"),
        serialization_alias="excerpt",
    )
    location: Text | None = None
    year_founded: Integer | None = Field(None, alias="yearFounded")


class Sponsorship(Kind):
    """A sponsor's messages, and the days on which they are shown."""

    type = "sponsorship"
    shown_by = "sponsor"


def model_of(tree: Mapping[str, Any]) -> type[Article]:
    """The class by which a document is validated: that of its kind, or the common one."""
    named = tree.get("type")
    if isinstance(named, str) and named.strip():
        return KINDS.get(named.strip().lower(), Article)
    return next((kind for kind in KINDS.values() if kind.shown_by and _shows(tree, kind.shown_by)), Article)


def kind_of(article: Article) -> str:
    """Name the kind: `type` in lower case, else what the fields tell, else `article`."""
    named = (article.kind or "").strip().lower()
    return named or (article.type if isinstance(article, Kind) else "article")


def _shows(tree: Mapping[str, Any], name: str) -> bool:
    return isinstance(tree.get(name), Mapping)


def build() -> None:
    """Build the classes of all kinds now: before a worker forks, so that its processes share them."""
    every: list[type[Article]] = [Article, *KINDS.values()]
    for kind in every:
        kind.model_rebuild()


def is_known(kind: str) -> bool:
    """Tell whether it is a kind that producers are known to send; others are kept all the same."""
    return kind in KINDS


__all__ = ["KINDS", "Kind", "build", "is_known", "kind_of", "model_of"]
