"""Caches for values that many documents repeat."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_Thing = TypeVar("_Thing")


class LruCache(Generic[_Key, _Value]):
    """A cache that keeps at least the `most` values used last, and at most twice as many.

    It has two generations. A value found in the old generation is copied to the young one. When the young generation is
    full, it becomes the old one, and the previous old one is dropped. So a hit needs no reordering and no counting.
    """

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[_Key, _Value] = {}
        self._old: dict[_Key, _Value] = {}

    def find(self, key: _Key) -> _Value | None:
        """Return the value of `key`, or None. Raises TypeError if a part of the key is not hashable."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.keep(key, found)
        return found

    def keep(self, key: _Key, value: _Value) -> None:
        """Add `value`. It is dropped when enough other keys were used since."""
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = value


class IdentityCache(Generic[_Thing, _Value]):
    """A function that computes a value once for each object, and keeps it as long as the object lives.

    Objects are compared by identity. The value must not reference its object, else the object would never be freed.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[_Thing], _Value]) -> None:
        self._make = make
        self._made: dict[int, tuple[weakref.ref[_Thing], _Value]] = {}

    def __call__(self, thing: _Thing) -> _Value:
        number = id(thing)
        found = self._made.get(number)
        if found is None:
            made = self._made
            found = weakref.ref(thing, lambda _: made.pop(number, None)), self._make(thing)
            made[number] = found
        return found[1]


__all__ = ["IdentityCache", "LruCache"]
