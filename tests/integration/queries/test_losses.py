"""Where the documents of a site went: by outcome, by code, and those that wait for the linker."""

from datetime import UTC, datetime, timedelta

from tests.integration.queries.test_missing_urls import document, put
from tests.integration.store.store_driver import work
from worker.queries.sources.losses import losses


def test_each_document_counts_for_its_site_also_if_its_text_cannot_be_read(engine):
    work(engine, "documents", [
        put(1, document("a")),
        put(2, document("b")),
        put(3, document("c", title="excerpt: no title")),
        put(4, document("d", title="title: one: two: three")),
        put(5, document("d", title="title: one: two: four")),
        put(6, "robots.txt"),
        put(7, document("x").replace("paper.example", "other.example")),
    ])  # fmt: skip
    work(engine, "documents", [put(8, document("a")), put(9, "", op="retract", key="https://paper.example/b")])
    with engine.connect() as connection:
        found = {one.site: one for one in losses(connection, datetime.now(UTC) - timedelta(hours=1))}
        (only,) = losses(connection, datetime.now(UTC) - timedelta(hours=1), site="paper.example")
        assert losses(connection, datetime.now(UTC) + timedelta(hours=1)) == []
    paper = found["paper.example"]
    assert only == paper
    assert paper.outcomes["rejected"] == 3
    assert paper.codes == {"yaml_unquoted_colon": 2, "no_title": 1}
    assert paper.outcomes["stored"] == 2
    assert paper.unlinked >= 1
    assert (found["other.example"].received, found["other.example"].outcomes) == (1, {"stored": 1})
    assert found[""].outcomes["rejected"] == 1, "no URL can be read"
    assert sum(one.received for one in found.values()) == 9


def test_the_losses_of_one_source_are_those_of_its_documents_alone(engine):
    work(engine, "documents", [put(1, document("a")), put(2, document("b", title="title: one: two"))])
    work(
        engine,
        "documents",
        [put(3, document("c"), source="other"), put(4, document("d", title="excerpt: no title"), source="other")],
    )
    with engine.connect() as connection:
        (other,) = losses(connection, datetime.now(UTC) - timedelta(hours=1), source="other")
        assert losses(connection, datetime.now(UTC) - timedelta(hours=1), source="nobody") == []
    assert (other.site, other.received, other.outcomes, other.codes) == (
        "paper.example",
        2,
        {"stored": 1, "rejected": 1},
        {"no_title": 1},
    )
    assert other.unlinked == 1
