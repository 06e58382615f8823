"""The index of words on both databases: it follows the articles, and the search finds what is indexed and what is not."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from worker.jobs.retention import prune
from worker.queries import search as search_module
from worker.queries.search import search
from worker.settings import Settings
from worker.store.tables import articles
from worker.word_index import filling, stored_terms
from worker.word_index.terms import query_terms

CONFIG = Settings()
LONG_AGO = datetime.now(UTC) - timedelta(days=2)


def add(engine, *titles, at=LONG_AGO, **values):
    rows = [
        {"url_hash": title.encode()[-16:].rjust(16), "title": title, "is_stub": False, "extra": {}, "revision": "r",
         "link_state": "linked", "first_seen_at": at, "changed_at": at, **values}
        for title in titles
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(articles.insert(), rows)


def fill(engine):
    assert filling.fill(engine, CONFIG, seconds=60)


def found(engine, query):
    with engine.connect() as connection:
        return [row["title"] for row in search(connection, query).articles]


def indexed(engine, query):
    with engine.connect() as connection:
        ids = stored_terms.matching(connection, query_terms(query), 100)
        return sorted(connection.scalars(select(articles.c.title).where(articles.c.id.in_(ids))))


def test_words_of_titles_and_excerpts_are_found_the_newest_article_first(engine):
    add(engine, "Ferries cross the harbour", "A new ferry", "Trams")
    add(engine, "Nothing in the title", excerpt="The ferry is late.")
    fill(engine)
    assert found(engine, "new ferry") == ["A new ferry"]
    assert found(engine, "ferry") == ["Nothing in the title", "A new ferry", "Ferries cross the harbour"], "plurals too"
    assert found(engine, "ferr") == ["Nothing in the title", "A new ferry", "Ferries cross the harbour"]
    assert found(engine, "HARBOUR ferries") == ["Ferries cross the harbour"]
    assert found(engine, "harbour tram") == []


@pytest.mark.parametrize(
    ("title", "query"),
    [("台风来袭，海港渡轮停运三天", "渡轮停运"), ("明日有大雨", "雨"), ("태풍으로 여객선 결항", "여객선"), ("Паромы не ходят", "паром"),
     ("เรือข้ามฟากหยุดให้บริการ", "ข้ามฟาก"), ("तूफान से नौका सेवा बंद", "नौका"), ("عبارة الميناء متوقفة", "الميناء"), ("𠮷野家の新店", "野家")],
)  # fmt: skip
def test_every_script_is_found(engine, title, query):
    add(engine, title, "Trams")
    fill(engine)
    assert indexed(engine, query) == found(engine, query) == [title]


@pytest.mark.parametrize(
    "query", ["'", '"', "a' OR 'b", "NOT ferry", 'x" OR "y', "ferry:*", "ferry & !x", "\\", "()", "*", "-", "\ufffd"]
)
def test_a_query_is_never_an_expression(engine, query):
    add(engine, "A ferry")
    fill(engine)
    assert set(found(engine, query)) <= {"A ferry"}


def test_an_article_that_changed_is_found_by_its_new_words_only(engine):
    add(engine, "A ferry", "A tram")
    fill(engine)
    with engine.begin() as connection:
        changed = {"title": "A bicycle", "changed_at": LONG_AGO + timedelta(hours=1)}
        connection.execute(update(articles).where(articles.c.title == "A ferry").values(changed))
    fill(engine)
    assert (indexed(engine, "ferry"), indexed(engine, "bicycle"), indexed(engine, "tram")) == (
        [],
        ["A bicycle"],
        ["A tram"],
    )


def test_an_article_is_found_before_it_is_indexed(engine):
    add(engine, "A ferry")
    fill(engine)
    add(engine, "A late ferry", at=datetime.now(UTC))
    add(engine, "By excerpt", at=datetime.now(UTC), excerpt="About a Ferry")
    fill(engine)
    assert indexed(engine, "ferry") == ["A ferry"], "a change that young may not be the last of its time"
    assert found(engine, "ferry") == ["By excerpt", "A late ferry", "A ferry"]


def test_many_articles_that_changed_at_one_moment_are_indexed_over_several_pages_and_calls(engine, monkeypatch):
    monkeypatch.setattr(filling, "_PAGE", 3)
    add(engine, *(f"Ferry number {number}" for number in range(10)))
    while not filling.fill(engine, CONFIG, seconds=0.0001):
        pass
    assert len(indexed(engine, "ferry")) == 10


def test_a_process_that_another_one_overtook_writes_nothing(engine, monkeypatch):
    add(engine, "A ferry")
    terms_of = filling.terms_of

    def overtaken(*arguments):
        monkeypatch.setattr(filling, "terms_of", terms_of)
        fill(engine)
        add(engine, "A later ferry", at=LONG_AGO + timedelta(hours=1))
        fill(engine)
        return "stale"

    monkeypatch.setattr(filling, "terms_of", overtaken)
    fill(engine)
    assert indexed(engine, "ferry") == ["A ferry", "A later ferry"]
    assert indexed(engine, "stale") == []


def test_a_crash_between_two_pages_loses_none(engine, monkeypatch):
    monkeypatch.setattr(filling, "_PAGE", 2)
    add(engine, *(f"Ferry number {number}" for number in range(5)))
    replace_terms, pages = stored_terms.replace_terms, []

    def crash(connection, terms):
        replace_terms(connection, terms)
        pages.append(terms)
        if len(pages) == 2:
            raise RuntimeError("the process ends")

    monkeypatch.setattr(stored_terms, "replace_terms", crash)
    with pytest.raises(RuntimeError):
        fill(engine)
    fill(engine)
    assert len(indexed(engine, "ferry")) == 5


def test_the_terms_of_a_deleted_article_are_deleted(engine):
    add(engine, "A ferry", orphaned_at=LONG_AGO - timedelta(days=30))
    add(engine, "The newest article, which stays")
    fill(engine)
    prune(engine, CONFIG)
    with engine.connect() as connection:
        assert connection.scalars(select(articles.c.title)).all() == ["The newest article, which stays"]
        assert stored_terms.matching(connection, query_terms("ferry"), 10) == []


def test_without_an_index_the_newest_articles_are_searched_and_the_result_says_that_it_is_partial(engine, monkeypatch):
    monkeypatch.setattr(search_module, "NEWEST", 2)
    add(engine, "An old ferry", "A new ferry", "A tram")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE article_words"))
    assert filling.fill(engine, CONFIG, seconds=1)
    with engine.connect() as connection:
        result = search(connection, "ferry")
    assert [row["title"] for row in result.articles] == ["A new ferry"]
    assert result.is_partial
    assert result.indexed_until is None


def test_the_linker_still_reads_pending_articles_by_their_own_index(engine):
    add(engine, *(f"Article {number}" for number in range(50)))
    query = "SELECT id, changed_at FROM articles WHERE link_state = 'pending' ORDER BY changed_at, id LIMIT 200"
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = "\n".join(str(row) for row in connection.execute(text(f"{explain} {query}")))
    assert "ix_articles_pending" in plan
