"""Copies of one report are linked and become one story, also where they are most of what a store has."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tests.integration.linking.newsroom import Story, entries, finish, found, fresh_store, invent, new_linker, store

_BEGIN = datetime(2020, 5, 1, tzinfo=UTC)
_TITLES = {
    "english": "Fire in Rotterdam harbour kills three sailors of ferry Pelikaan",
    "japanese": "ロッテルダム港でフェリーが炎上し船員三人が死亡",
}
_EXCERPTS = {
    "english": "Three sailors died in a fire on the ferry Pelikaan, the port authority said on Tuesday.",
    "japanese": "ロッテルダム港で火曜日の夜フェリーが炎上し、船員三人が死亡したと港湾当局が発表した。",
}


def _copies(language, count, name):
    """Return the report as so many sites have it. Each one adds its name to the title if `name` says how."""
    return [
        Story(f"copy{n}", f"site{n}.example", _TITLES[language] + name.format(n), _EXCERPTS[language], _BEGIN + timedelta(minutes=n), 50)
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "copies", "others", "name"),
    [("english", 20, 0, ""), ("english", 40, 100, " | Herald{0}"), ("japanese", 20, 20, "")],
)
def test_copies_of_one_report_are_one_story_also_where_most_articles_are_copies(
    migrated_sqlite, tmp_path, language, copies, others, name
):
    engine = fresh_store(migrated_sqlite(tmp_path / "store.db"), tmp_path)
    reports = _copies(language, copies, name)
    store(engine, entries([*reports, *invent(Random(1), others)]))
    finish(new_linker(engine))
    got = found(engine)
    engine.dispose()
    assert frozenset(one.url for one in reports) in got["members"]
    kinds = {kind for one, other, kind, *_ in got["links"] if "/copy" in one and "/copy" in other}
    assert kinds == {"duplicate"}
