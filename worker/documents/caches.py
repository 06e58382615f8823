"""Memories of what is the same in many documents."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_Thing = TypeVar("_Thing")


class LruCache(Generic[_Key, _Value]):
    """Keeps at least the last `most` things that were asked for, and at most twice as many.

    In two generations: what is found in the older one moves to the younger one, and when that is full, it becomes the
    older one and what was in that is forgotten. So nothing is ordered or counted where something is found.
    """

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[_Key, _Value] = {}
        self._old: dict[_Key, _Value] = {}

    def find(self, key: _Key) -> _Value | None:
        """What is kept under `key`, or None. Raises TypeError where a part of the key has no hash."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.keep(key, found)
        return found

    def keep(self, key: _Key, value: _Value) -> None:
        """Keep `value` for some time."""
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = value


class IdentityCache(Generic[_Thing, _Value]):
    """Makes something of each object once: it lives as long as the object. It must not hold the object itself."""

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
