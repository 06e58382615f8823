"""What an article's fallback to an older document changes elsewhere: stubs, aliases, links."""

from tests.integration.store.histories import SITES, Put, Retract
from tests.integration.store.store_driver import entry
from tests.unit.store.decide.memory_store import MemoryStore

FIRST, SECOND, NAMED = SITES[:3]


def put(key, url, *, amp=None, related=(), title="A"):
    return Put("s", key, url, amp, related, title, "x", None, "AAAA")


def stored(*events):
    """Return a store after these events, one batch each."""
    store = MemoryStore()
    for number, event in enumerate(events):
        store.work([entry(number, event)])
    store.settle()
    return store


def article(store, url):
    return next(row for row in store.rows("articles") if row["canonical_url"] == url)


def target(store, url):
    """Return the URL of the article to which the one link of an article points."""
    [link] = [one for one in store.rows("links") if one["source_id"] == article(store, url)["id"]]
    return store.tables["articles"][link["target_id"],]["canonical_url"]


def test_a_stub_shows_another_namer_that_is_newer_than_the_fallback():
    older, other, newer = (put("k1", FIRST, related=(NAMED,)), put("k2", SECOND, related=(NAMED,), title="B"),
                           put("k3", FIRST, related=(NAMED,), title="C"))  # fmt: skip
    assert article(stored(older, other, newer), NAMED)["title"] == "C on site2"

    store = stored(older, other, newer, Retract("s", "k3"))

    assert article(store, FIRST)["title"] == "A"
    assert article(store, NAMED)["title"] == "B on site2"
    assert article(store, NAMED)["named_by"] == article(store, SECOND)["id"]


def test_an_alias_means_another_claimant_that_is_newer_than_the_fallback():
    namer = put("k0", SITES[3], related=(NAMED,))
    claims = [put("k1", FIRST, amp=NAMED), put("k2", SECOND, amp=NAMED), put("k3", FIRST, amp=NAMED, title="C")]
    assert target(stored(namer, *claims), SITES[3]) == FIRST

    assert target(stored(namer, *claims, Retract("s", "k3")), SITES[3]) == SECOND


def test_an_article_without_a_document_becomes_the_stub_of_its_newest_namer():
    store = stored(put("k1", FIRST, related=(NAMED,)), put("k2", NAMED, title="Own"), Retract("s", "k2"))

    row = article(store, NAMED)
    assert (row["is_stub"], row["title"], row["document_id"]) == (True, "A on site2", None)
    assert target(store, FIRST) == NAMED
