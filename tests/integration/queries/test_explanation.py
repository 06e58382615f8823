"""What is shown of a document by its receipt, its key or its URL, without scanning a table for it."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event, text

from tests.integration.store.store_driver import work
from worker.queries.articles import article
from worker.queries.explanation import explain
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine

URL = "https://harbour.example/wall"
GOOD = f"---\ntitle: The harbour wall\nwebUrl: {URL}\n---\nIts text.\n"
BAD = "---\ntitle: Plans: the wall\n---\n"
FIRST, REFUSED, AGAIN, OTHER = (f"{1_700_000_000_000 + n}-0" for n in range(4))


def _entry(id_, raw, key="wall.md"):
    return Claimed(id_, 0, 100, {b"raw": raw.encode(), b"source": b"crawler", b"key": key.encode()}, truncated=False)


@pytest.fixture(scope="module")
def engine(module_store_url, tmp_path_factory):
    config = Settings(database_url=module_store_url, data_dir=tmp_path_factory.mktemp("data"))
    engine = make_engine(config)
    for entry in (_entry(FIRST, GOOD), _entry(REFUSED, BAD), _entry(AGAIN, GOOD.replace("Its", "A new"))):
        work(engine, "documents", [entry])
    work(engine, "documents:other", [_entry(OTHER, GOOD.replace("/wall", "/pier"), key="pier.md")])
    yield engine
    engine.dispose()


@pytest.mark.parametrize("wanted", [FIRST, REFUSED, "wall.md", URL])
def test_receipt_key_and_url_show_the_same_history(engine, wanted):
    with engine.connect() as connection:
        found = explain(connection, wanted)
    outcomes = {row["id"]: row["outcome"] for row in found["receipts"]}
    if wanted == REFUSED:  # for a rejected version it is unknown which article it describes
        assert outcomes == {REFUSED: "rejected"}
    else:
        refused = {REFUSED: "rejected"} if wanted == "wall.md" else {}
        assert outcomes == {AGAIN: "updated", FIRST: "stored", **refused}
        assert found["article"]["url"] == URL
    dead_letter_rows = [row["id"] for row in found["dead_letters"]]
    assert dead_letter_rows == ([REFUSED] if REFUSED in outcomes else [])
    assert found["counts"] == {
        "documents": len(found["documents"]),
        "receipts": len(outcomes),
        "dead_letters": len(dead_letter_rows),
    }


def test_a_receipt_is_found_on_every_lane(engine):
    with engine.connect() as connection:
        assert explain(connection, OTHER)["receipts"][0]["lane"] == "documents:other"
        assert explain(connection, "1600000000000-0")["receipts"] == []


def test_an_article_shows_who_names_it_by_its_url_by_an_alias_and_as_an_item_of_a_collection(engine):
    def document(number, title, *lines):
        raw = "\n".join(["---", f"title: {title}", f"webUrl: https://named.example/{number}", *lines, "---", ""])
        return _entry(f"{1_700_000_000_100 + number}-0", raw, key=f"named-{number}")

    alias = "https://amp.named.example/0"
    documents = [
        document(0, "Named", f"ampWebUrl: {alias}"),
        document(1, "By its URL", "related:", "  - title: N", "    webUrl: https://named.example/0"),
        document(2, "By its alias", "related:", "  - title: N", f"    webUrl: {alias}"),
        document(3, "As an item", "items: [named-0]"),
        document(4, "Another", "related:", "  - title: N", "    webUrl: https://named.example/1"),
    ]
    for one in documents:
        work(engine, "documents", [one])

    with engine.connect() as connection:
        found = explain(connection, "https://named.example/0")["article"]
        shown = article(connection, found["id"], limit=2)

    named_by = [("By its URL", "related"), ("By its alias", "related"), ("As an item", "contains")]
    assert [(link["title"], link["kind"]) for link in found["named_by"]] == named_by
    assert found["named_by_count"] == 3
    assert [(link["title"], link["kind"]) for link in shown["named_by"]] == named_by[:2]
    assert shown["counts"]["named_by"] == 3


@pytest.mark.parametrize("wanted", [REFUSED, "wall.md", URL])
def test_no_table_that_grows_with_the_collection_is_scanned(engine, wanted):
    statements = []

    def note(_connection, _cursor, statement, parameters, *_):
        if not statement.startswith("BEGIN"):
            statements.append((statement, parameters))

    with engine.connect() as connection:
        event.listen(engine, "before_cursor_execute", note)
        explain(connection, wanted)
        event.remove(engine, "before_cursor_execute", note)
        prefix = "EXPLAIN QUERY PLAN "
        if engine.dialect.name == "postgresql":
            prefix = "EXPLAIN "
            connection.execute(text("SET enable_seqscan = off"))  # PostgreSQL would scan a table of four rows
        plans = [str(connection.exec_driver_sql(prefix + statement, given).all()) for statement, given in statements]
    walks = [
        plan
        for plan in plans
        if re.search(r"(SCAN|Seq Scan on) (receipts|documents|dead_letters|articles|links)\b", plan)
    ]
    assert walks == []
    assert any(re.search(r"receipts", plan) for plan in plans)


def story(n, quality, *related, **fields):
    lines = [f"title: Story {n}", f"webUrl: https://heat.example/{n}", f"quality: {quality}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += ["related:", *(f"  - webUrl: https://heat.example/{other}" for other in related)] if related else []
    return "\n".join(["---", *lines, "---", ""])


@pytest.mark.parametrize(
    ("n", "explanation"),
    [
        (1, "100 = quality 80 + 1 related article × 20."),
        (2, "-1: it does not lead; https://heat.example/1 (quality 80) ranks before its quality 60."),
        (3, "40 = quality 40; 1 related article adds nothing to a quality below 50."),
        (4, "7: as its document reports it, because the document states no quality."),
    ],
)
def test_the_heat_of_an_article_is_explained_by_its_terms(engine, n, explanation):
    texts = {1: story(1, 80, 2), 2: story(2, 60, 1), 3: story(3, 40, 9), 4: story(4, "", heat=7)}
    for number, one in texts.items():
        work(engine, "documents", [_entry(f"1700000009{number:03}-0", one, key=f"{number}.md")])
    with engine.connect() as connection:
        heat = explain(connection, f"https://heat.example/{n}")["article"]["heat"]
    assert heat["explanation"] == explanation
    assert heat["explanation"].startswith(str(heat["heat"]))
