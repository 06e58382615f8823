"""Caches are bounded, and keep nothing of objects that were deleted."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from worker.documents.caches import IdentityCache, LruCache


class Thing:
    pass


@given(st.lists(st.integers(0, 20)))
def test_the_last_entries_are_found_and_at_most_twice_as_many_are_kept(keys):
    recent = LruCache(4)
    for key in keys:
        if recent.find(key) is None:
            recent.keep(key, str(key))
    last = list(dict.fromkeys(reversed(keys)))[:4]
    assert [recent.find(key) for key in reversed(last)] == [str(key) for key in reversed(last)]
    assert sum(recent.find(key) is not None for key in range(21)) <= 8


def test_a_value_is_computed_once_while_its_object_lives():
    made = []
    cached = IdentityCache(lambda thing: made.append(1) or len(made))
    one, other = Thing(), Thing()
    assert (cached(one), cached(other), cached(one)) == (1, 2, 1)


def test_nothing_is_kept_of_a_deleted_object():
    cached = IdentityCache(lambda thing: "made")
    for _ in range(10):
        cached(Thing())
    ring = Thing()
    ring.itself = ring
    cached(ring)
    del ring
    gc.collect()
    assert cached._made == {}
