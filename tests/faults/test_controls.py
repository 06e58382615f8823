"""Tests of the reconciliation itself: it must find a build that settles before it commits, and poison must be told from
other faults.
"""

from __future__ import annotations

import pytest

from tests.faults.crashes import crash_at
from tests.faults.scenario import Scene
from tests.faults.stores import SqliteStore
from tests.faults.traffic import fields, text_of


@pytest.fixture
def sqlite_scene():
    """`sqlite_scene(change)`: a system whose workers run the changed code."""
    store = SqliteStore()
    scenes = []

    def running(change: str) -> Scene:
        scenes.append(Scene(store, patch=change).__enter__())
        return scenes[-1]

    yield running
    for scene in scenes:
        scene.__exit__()
    store.stop()


def test_a_build_that_settles_before_it_commits_is_caught(sqlite_scene):
    scene = sqlite_scene("settle_first")
    with pytest.raises(AssertionError, match=r"census of .* lost"):
        scene.strike(crash_at("store.complete"), "a crash before the commit").judge()


@pytest.mark.parametrize("death", ["SEGV", "LOOP", "MEMORY"])
def test_only_poison_becomes_a_dead_letter(death, desk_with_poison):
    scene = desk_with_poison
    deadly = scene.traffic.good()
    deadly.code, deadly.source, deadly.key = "poison", "poisoner", f"{death}.md"
    deadly.url = f"https://www.poison.example/{death}"
    deadly.title = f"POISON-{death}"
    assert f"POISON-{death}" in text_of(deadly) and "raw" in fields(deadly)

    def push(scene: Scene) -> int:
        scene.traffic.send(deadly)
        return scene.pending()

    found = scene.strike(push, f"poison {death}").judge().findings
    assert found.counted["dead letters"] > 0


@pytest.fixture(scope="module")
def desk_with_poison():
    store = SqliteStore()
    with Scene(store, patch="poison") as scene:
        yield scene
    store.stop()
