"""What the store computes from several documents together: references, names, placeholders, heat, items."""

import pytest
from sqlalchemy import select

from tests.integration.store.store_driver import settle
from worker.documents.limits import Limits
from worker.enrichment.urls.canonical_urls import url_hash
from worker.heat_rules import AllRules, HeatRules
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.background import article_step
from worker.store.background.steps import work_step
from worker.store.background.work_rows import pending_work
from worker.store.engine import make_engine
from worker.store.tables import article_topics, articles, enrichment_work, images, links, providers, topics

_numbers = iter(range(10_000))


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    yield engine
    engine.dispose()


def send(engine, *texts, keys=(), rules=None, op=None):
    """Process each text (the front matter) as a document; returns their versions."""
    entries = []
    for n, text in enumerate(texts):
        number = next(_numbers)
        fields = {b"source": b"s", b"key": (keys[n] if keys else f"d{number}").encode()}
        fields |= {b"op": op} if op else {b"raw": f"---\n{text}\n---\n".encode()}
        entries.append(Claimed(f"{1_700_000_000_000 + number}-0", 0, 10, fields, truncated=False))
    batch = Batch("documents", None, "test", 3, Limits(), rules=rules or AllRules())
    return process(engine, batch, entries, end_attempt=lambda: None)


def rows(engine, query):
    with engine.connect() as connection:
        return connection.execute(query).all()


def article(n, *lines, title=None):
    return "\n".join([f"title: {title or f'Story {n}'}", f"webUrl: https://a.example/{n}", *lines])


def inferred(engine):
    query = select(articles.c.title, topics.c.slug).join(article_topics, article_topics.c.article_id == articles.c.id)
    query = query.join(topics, topics.c.id == article_topics.c.topic_id).where(article_topics.c.origin == "inferred")
    return sorted(tuple(row) for row in rows(engine, query))


TOPIC = "taxonomy: topic\nname: Sea\nkeywords: [ferry]"


def test_a_topic_applies_to_earlier_and_later_articles(engine):
    send(engine, article(1, title="A ferry"))
    send(engine, TOPIC, keys=["sea"])
    send(engine, article(2, title="Two ferrys"), article(3, "topics: [sea]", title="My ferry"))
    assert inferred(engine) == [("Two ferrys", "sea")]
    settle(engine)
    assert inferred(engine) == [("A ferry", "sea"), ("Two ferrys", "sea")]
    send(engine, TOPIC.replace("ferry", "two"), keys=["sea"])
    settle(engine)
    assert inferred(engine) == [("Two ferrys", "sea")]
    send(engine, "", keys=["sea"], op=b"retract")
    settle(engine)
    assert inferred(engine) == []


def test_reenrichment_resumes_where_it_stopped(engine, monkeypatch):
    monkeypatch.setattr(article_step, "STEP_ARTICLES", 2)
    send(engine, *(article(n, title=f"Ferry {n}") for n in range(5)))
    send(engine, TOPIC)
    for done, found in ((2, 2), (4, 4), (None, 5)):
        work_step(engine, AllRules())
        with engine.connect() as connection:
            assert [work["done"] for work in pending_work(connection)] == ([] if done is None else [done])
        assert len(inferred(engine)) == found


ORGANIZATION = (
    "taxonomy: organization\nname: The Paper\ndomain: a.example\notherNames: [Daily]\nimages: [{url: /logo.png}]"
)


def test_an_organisation_completes_its_provider_and_its_names_leave_the_titles(engine):
    send(engine, article(1, "provider: {name: Paper, domain: a.example}", title="Bridge opens | Daily"))
    send(engine, ORGANIZATION, keys=["o"])
    settle(engine)
    [provider] = rows(engine, select(providers))
    assert (provider.name, provider.other_names, provider.images) == (
        "The Paper",
        ["Daily", "Paper"],
        [{"url": "/logo.png"}],
    )
    assert [row.title for row in rows(engine, select(articles.c.title))] == ["Bridge opens"]
    send(engine, "", keys=["o"], op=b"retract")
    settle(engine)
    [provider] = rows(engine, select(providers))
    assert (provider.name, provider.other_names, provider.images) == ("Paper", [], [])
    assert [row.title for row in rows(engine, select(articles.c.title))] == ["Bridge opens | Daily"]


@pytest.mark.parametrize("turned", [False, True])
def test_the_name_of_a_provider_does_not_depend_on_the_order_of_arrival(engine, turned):
    names = ["Olive on A", "A", "A Daily", "A Daily"]
    for n, name in enumerate(reversed(names) if turned else names):
        send(engine, article(n, f"provider: {{name: {name}, domain: a.example}}"))
    settle(engine)
    [provider] = rows(engine, select(providers))
    assert (provider.name, provider.other_names) == ("A", ["A Daily", "Olive on A"])


def test_an_image_under_three_titles_is_a_placeholder(engine):
    pictures = "images: [{url: //a.example/logo.png, width: 900, height: 900}, {url: https://i.example/%d.jpg, width: 90, height: 60}]"
    send(engine, *(article(n, pictures % n) for n in range(2)))
    assert {row.image_url for row in rows(engine, select(articles.c.image_url))} == {"https://a.example/logo.png"}
    send(engine, article(2, pictures % 2), keys=["third"])
    settle(engine)
    assert {row.image_url for row in rows(engine, select(articles.c.image_url))} == {
        f"https://i.example/{n}.jpg" for n in range(3)
    }
    assert {row.rank for row in rows(engine, select(images.c.rank).where(images.c.is_placeholder))} == {0}
    send(engine, "", keys=["third"], op=b"retract")
    settle(engine)
    assert rows(engine, select(images).where(images.c.is_placeholder)) == []
    assert {row.image_url for row in rows(engine, select(articles.c.image_url).where(~articles.c.is_stub))} == {
        "https://a.example/logo.png"
    }


def heat(engine):
    settle(engine)
    query = select(articles.c.title, articles.c.heat, articles.c.is_published).where(~articles.c.is_stub)
    return {row.title: (row.heat, row.is_published) for row in rows(engine, query)}


RELATED = "quality: 60\nrelated:\n- {title: Other, webUrl: 'https://a.example/2', quality: 50}"


def test_heat_follows_the_articles_that_are_linked(engine):
    send(engine, article(1, RELATED))
    assert heat(engine) == {"Story 1": (80, True)}
    send(engine, article(2, "quality: 61"), keys=["two"])
    assert heat(engine) == {"Story 1": (-1, False), "Story 2": (61, False)}
    lead = rows(engine, select(articles.c.lead_id, articles.c.id).order_by(articles.c.canonical_url))
    assert lead[0].lead_id == lead[1].lead_id == lead[1].id
    send(engine, "", keys=["two"], op=b"retract")
    assert heat(engine) == {"Story 1": (80, True)}


@pytest.mark.parametrize(
    ("entry", "leads"),
    [
        ("title: Other, webUrl: 'https://a.example/2', quality: 61", "https://a.example/2"),
        ("title: Its twin, webUrl: 'https://a.example/1', quality: 61", None),
        ("title: Nowhere, quality: 61", None),
    ],
)
def test_the_stated_quality_of_a_related_article_prevents_a_lead(engine, entry, leads):
    send(engine, article(2, "quality: 1"), keys=["two"])
    related = f"quality: 60\nrelated:\n- {{title: Low, webUrl: 'https://a.example/3'}}\n- {{{entry}}}"
    send(engine, article(1, related))
    assert heat(engine)["Story 1"] == (-1, False)
    [row] = rows(engine, select(articles.c.lead_id).where(articles.c.title == "Story 1"))
    led = rows(engine, select(articles.c.id).where(articles.c.canonical_url == leads))
    assert row.lead_id == (led[0].id if led else None)


@pytest.mark.parametrize(
    ("rules", "warned"),
    [
        (AllRules(), False),
        (AllRules(configured=True), True),
        (AllRules(by_source={"s": HeatRules(bonus=10, threshold=60)}), False),
    ],
)
def test_a_differing_reported_heat_gives_a_warning_where_rules_are_set(engine, rules, warned):
    [version] = send(engine, article(1, RELATED, "heat: 70", "published: true"), rules=rules)
    assert [problem.code for problem in version.problems] == (["heat_differs"] if warned else [])
    if warned:
        assert version.problems[0].message == "Reported is heat 70; by the rules it is heat 80."
    [row] = rows(engine, select(articles).where(~articles.c.is_stub))
    assert (row.reported_heat, row.reported_published) == (70, True)


def test_without_quality_heat_is_as_reported(engine):
    send(engine, article(1, "heat: 14234", "published: true"))
    assert heat(engine) == {"Story 1": (14234, True)}


def test_a_collection_contains_documents_that_arrive_later(engine):
    collection = "title: Set\ntype: collection\nitems: [courses/first, 'https://a.example/2', courses/none]"
    send(engine, collection, keys=["learn/sets/set.md"])
    contains = select(links.c.rank, articles.c.title).outerjoin(articles, articles.c.id == links.c.target_id)
    contains = contains.where(links.c.kind == "contains").order_by(links.c.rank)
    assert [row.title for row in rows(engine, contains)] == [None, None, None]
    send(engine, article(1), article(2), keys=["learn/courses/first.md", "x"])
    assert [row.title for row in rows(engine, contains)] == ["Story 1", "Story 2", None]
    send(engine, "", keys=["learn/courses/first.md"], op=b"retract")
    assert [row.title for row in rows(engine, contains)] == [None, "Story 2", None]


def test_ordinary_articles_leave_no_reenrichment(engine):
    send(engine, article(0, "provider: {name: A, domain: a.example}"))
    settle(engine)  # the names of the new provider are counted once
    send(engine, *(article(n, "provider: {name: A, domain: a.example}") for n in range(1, 4)))
    assert rows(engine, select(enrichment_work)) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_display_name_of_a_topic_does_not_depend_on_the_order_of_arrival(engine, order):
    texts = [article(1, "topics: [ferries]"), article(2, "topics: [FERRIES]"), article(3, "topics: [Ferries]")]
    for n in order:
        send(engine, texts[n])
    assert rows(engine, select(topics.c.name)) == [("Ferries",)]
    send(engine, "taxonomy: topic\nname: ferries")
    send(engine, article(4, "topics: [Ferries]"))
    assert rows(engine, select(topics.c.name)) == [("ferries",)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_exactly_one_of_two_articles_leads_that_are_equal_but_for_their_urls(engine, order):
    texts = [
        article(n, "quality: 60", "publishedDateTime: 2020-05-29T10:00:00Z", "related:", f"  - webUrl: https://a.example/{3 - n}",
                "    title: Same", "    quality: 60", "    publishedDateTime: 2020-05-29T10:00:00Z", title="Same")
        for n in (1, 2)
    ]  # fmt: skip
    for n in order:
        send(engine, texts[n])
    heats = dict(map(tuple, rows(engine, select(articles.c.canonical_url, articles.c.heat))))
    leader = min(heats, key=lambda url: url_hash(url))
    assert {url: heat for url, heat in heats.items() if heat != -1} == {leader: 80}


def test_an_article_of_2019_keeps_its_heat_beside_a_better_related_one(engine):
    rules = AllRules(HeatRules(bonus=5, floor=0, threshold=50))
    send(engine, article(1, "quality: 90"), rules=rules)
    old = article(2, "quality: 40", "score: 45", "related:", "  - url: https://a.example/1", "    title: Story 1")
    send(engine, old, rules=rules)
    row = rows(engine, select(articles).where(articles.c.title == "Story 2"))[0]
    assert (row.quality, row.reported_heat, row.heat, row.lead_id) == (40, 45, 45, row.id)
    assert rows(engine, select(links.c.kind).where(links.c.source_id == row.id)) == [("related",)]


def test_a_provider_document_of_2019_completes_the_provider_of_its_id(engine):
    send(engine, "taxonomy: provider\n_id: hillpost.com\nname: Hill Post\notherNames: [HP, https://hillpost.com]")
    settle(engine)
    found = rows(engine, select(providers.c.domain, providers.c.name, providers.c.other_names))
    assert found == [("hillpost.com", "Hill Post", ["HP"])]
