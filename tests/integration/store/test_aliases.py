"""The article that an alias resolves to when several articles claim it: the newest live one, also if only a revision
changed.
"""

import pytest
from sqlalchemy import select

from tests.integration.store.histories import Put, Retract
from tests.integration.store.store_driver import entry, work
from worker.store.tables import articles, links

FIRST, SECOND, NAMER, ALIAS = (f"https://{name}.example/story" for name in ("first", "second", "namer", "alias"))


def put(url, *, amp=None, related=(), secured="AAAA"):
    return Put("s", None, url, amp, related, "A", "x", None, secured)


@pytest.fixture
def send(engine):
    sent = []

    def send(event):
        sent.append(event)
        work(engine, "documents", [entry(len(sent), event)])

    return send


def resolved(engine):
    """Return the canonical URL of the article that the link to ALIAS points to."""
    target = articles.alias()
    source = articles.c.canonical_url == NAMER
    query = select(target.c.canonical_url).select_from(
        links.join(articles, articles.c.id == links.c.source_id).join(target, target.c.id == links.c.target_id)
    )
    with engine.connect() as connection:
        return connection.scalar(query.where(source))


@pytest.fixture
def contested(send):
    """Two articles claim ALIAS, the second is newer, a third names it."""
    send(put(FIRST, amp=ALIAS))
    send(put(SECOND, amp=ALIAS))
    send(put(NAMER, related=(ALIAS,)))


def test_a_contested_alias_resolves_to_the_newest_claimant(contested, engine):
    assert resolved(engine) == SECOND


@pytest.mark.parametrize("secured", ["AAAA", "BBBB"], ids=["the same again", "only secured differs"])
def test_an_unchanged_document_that_arrives_again_regains_its_alias(contested, send, engine, secured):
    send(put(FIRST, amp=ALIAS, secured=secured))

    assert resolved(engine) == FIRST


def test_retracting_the_newest_claimant_gives_the_alias_to_the_other(contested, send, engine):
    send(Retract("s", SECOND))

    assert resolved(engine) == FIRST


def test_the_article_with_a_canonical_url_takes_it_from_every_claimant(contested, send, engine):
    send(put(ALIAS))

    assert resolved(engine) == ALIAS
