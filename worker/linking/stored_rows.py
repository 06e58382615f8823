"""The columns of the store's rows that this package reads."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class StoredVersion(Protocol):
    """An article whose version waits for the linker."""

    @property
    def id(self) -> int: ...
    @property
    def changed_at(self) -> datetime: ...


class StoredTime(Protocol):
    """An article's identity hash and its time (`TIME` in `store/linking/compared_articles.py`)."""

    @property
    def id(self) -> int: ...
    @property
    def url_hash(self) -> bytes: ...
    @property
    def time(self) -> datetime: ...


class StoredArticle(StoredVersion, StoredTime, Protocol):
    """An article with the columns that are compared."""

    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str | None: ...
    @property
    def excerpt(self) -> str | None: ...
    @property
    def provider_id(self) -> int | None: ...
    @property
    def orphaned_at(self) -> datetime | None: ...


class StoredMember(StoredTime, Protocol):
    """An article with the columns that decide its story."""

    @property
    def quality(self) -> int | None: ...
    @property
    def story_id(self) -> int | None: ...
    @property
    def link_state(self) -> str: ...
