"""The error of a recognised document that cannot be decided without its content."""

from __future__ import annotations

from collections.abc import Collection


class ChangedDocument(Exception):
    """Raised when recognised items must be read: their stored documents changed meanwhile, or the same batch may change
    them. Roll back, read the items, decide again. `ids`: of the items.
    """

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__("the stored documents of recognised items changed")
        self.ids = ids
