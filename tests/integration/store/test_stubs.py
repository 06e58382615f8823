"""A stub shows the newest entry that names it; another document that names it in the same words changes nothing
visible.
"""

import pytest
from sqlalchemy import select, update

from tests.integration.store.histories import Put
from tests.integration.store.store_driver import entry, work
from worker.store.tables import articles, images

STUB = "https://named.example/story"


def put(name, title, quality=None):
    return Put("s", None, f"https://{name}.example/story", None, (STUB,), title, "x", None, "AAAA", quality)


@pytest.fixture
def send(engine):
    sent = []

    def send(event):
        sent.append(event)
        work(engine, "documents", [entry(len(sent), event)])
        return shown(engine)

    return send


def shown(engine):
    """Return the stub's row and the URLs of its images."""
    with engine.connect() as connection:
        row = connection.execute(articles.select().where(articles.c.canonical_url == STUB)).one()
        image_urls = select(images.c.url).where(images.c.article_id == row.id).order_by(images.c.rank)
        return row, list(connection.scalars(image_urls))


def linked(engine):
    with engine.begin() as connection:
        connection.execute(update(articles).values(link_state="linked"))


def test_the_same_words_of_another_document_change_only_the_source_of_the_stub(send, engine):
    before, image_urls = send(put("one", "A"))
    linked(engine)
    after, same_image_urls = send(put("two", "A"))
    assert (after.changed_at, after.link_state, same_image_urls) == (before.changed_at, "linked", image_urls)
    assert after.named_by != before.named_by
    assert after.revision > before.revision


@pytest.mark.parametrize("newer", [put("two", "B"), put("two", "A", 40)], ids=["another title", "another quality"])
def test_other_words_are_shown_and_linked_again(send, engine, newer):
    before, _ = send(put("one", "A"))
    linked(engine)
    after, image_urls = send(newer)
    assert (after.title, after.quality) != (before.title, before.quality)
    assert after.changed_at > before.changed_at
    assert after.link_state == "pending"
    assert image_urls == [f"{STUB}/{newer.title}.jpg"]


def test_the_words_of_the_first_document_return_when_it_is_sent_again(send):
    send(put("one", "A"))
    send(put("two", "B"))
    after, image_urls = send(put("one", "A"))
    assert after.title == "A on named"
    assert image_urls == [f"{STUB}/A.jpg"]
