"""Similar articles on demand: the links that the linker finds, and articles below its threshold."""

import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import select

from tests.integration.linking.newsroom import a_day_passes, entries, finish, fresh_store, invent, new_linker, store
from worker.cli.app import run
from worker.linking.pairs.evidence import CANDIDATE_SCORE
from worker.queries.similar_articles import similar
from worker.store.linking.day_frequencies import keep_day
from worker.store.tables import articles, links


def test_the_ranking_begins_with_the_stored_links(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    store(engine, entries(invent(Random(3), 60)))
    finish(new_linker(engine))
    with engine.connect() as connection:
        ranked = {one["id"]: one["similar"] for one in similar(connection, None, limit=1000)}
        stored = connection.execute(select(links).where(links.c.kind.in_(("similar", "duplicate")))).all()
        expected = set(connection.scalars(select(articles.c.id).where(articles.c.kind == "article")))
    assert set(ranked) == expected
    scores = {(one, other["id"]): other["score"] for one, near in ranked.items() for other in near}
    assert len(stored) > 20
    assert all(scores[row.source_id, row.target_id] == row.score for row in stored)
    assert all(scores[other, one] == score for (one, other), score in scores.items())
    assert any(score < CANDIDATE_SCORE for score in scores.values())
    for near in ranked.values():
        assert [one["score"] for one in near] == sorted((one["score"] for one in near), reverse=True)
    engine.dispose()


def test_frequencies_that_an_older_version_stored_are_counted_again(migrated_store_url, tmp_path):
    engine = fresh_store(migrated_store_url, tmp_path)
    claimed = entries(invent(Random(3), 60))
    store(engine, claimed[:50])
    a_day_passes(engine)
    store(engine, claimed[50:])

    def ranked():
        with engine.connect() as connection:
            return list(similar(connection, None))

    before, yesterday = ranked(), (datetime.now(UTC) - timedelta(days=1)).date()
    with engine.begin() as connection:
        keep_day(connection, yesterday, 50, b"0 counts of other words")
    assert ranked() == before
    assert any(one["similar"] for one in before)
    engine.dispose()


def test_the_command_prints_one_object_for_each_article_asked_for(migrated_sqlite, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COPYDESK_DATA_DIR", str(tmp_path))
    engine = fresh_store(migrated_sqlite(tmp_path / "copydesk.db"), tmp_path)
    expected = invent(Random(3), 30)
    store(engine, entries(expected))
    engine.dispose()
    with pytest.raises(SystemExit) as ended:
        run(["similar", "--json", "--most", "2", expected[0].url])
    assert ended.value.code == 0
    [one] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert one["url"] == expected[0].url
    assert 0 < len(one["similar"]) <= 2
    assert {"id", "url", "title", "score"} == set(one["similar"][0])
