"""The page of a source shows its rhythm, its alarms, its trend, and its slowest and its rejected documents."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from tests.integration.console.conftest import HOSTILE
from tests.support.servers import until
from worker.monitoring.sources.roll_up import roll_up_sources
from worker.settings import Settings
from worker.store.sources.past_silences import add_past_silences
from worker.store.tables import dead_letters, receipts, source_alarms, source_rhythms

END = datetime.now(UTC) - timedelta(hours=9)


def fill(store, source):
    rows = [
        {
            "lane": "documents", "id": f"{n}-{abs(hash(source)) % 10_000}", "outcome": "rejected" if n % 50 == 0 else "stored",
            "op": "put", "source": source, "key": f"key-{n}", "problems": [], "changed": [], "received_at": at,
            "settled_at": at + timedelta(seconds=1 + (n == 3) * 900), "worker": "w", "attempts": 1, "timings": {},
        }
        for n, at in enumerate(END - timedelta(minutes=20) * n for n in range(900))
    ]  # fmt: skip
    dead_letter_id = {
        "lane": "documents", "receipt_id": rows[0]["id"], "op": "put", "source": source, "key": "<i>worst</i>", "revision": "r",
        "code": "no_title", "problems": [], "status": "open", "edits": 0, "created_at": END,
    }  # fmt: skip
    with store.begin() as connection:
        if connection.scalar(select(receipts.c.id).where(receipts.c.id == rows[0]["id"])):
            return  # another test of this module has filled the store
        connection.execute(insert(receipts), rows)
        connection.execute(insert(dead_letters), [dead_letter_id])
    assert roll_up_sources(store, Settings(), seconds=60)


def test_a_source_that_fell_silent_is_shown_with_all_that_is_known_and_nothing_of_it_is_markup(store, browser):
    fill(store, HOSTILE)
    listed = browser.page("/sources")
    assert "/sources/of?source=%3Cscript%3E" in listed
    page = browser.get("/sources/of", params={"source": HOSTILE}).text
    for shown in (listed, page):
        assert "<script>alert" not in shown
        assert ">silent<" in shown
    assert "is silent since" in page
    assert "15\u202fmin" in page, "the slowest"
    assert "&lt;i&gt;worst&lt;/i&gt;" in page
    assert page.count("<rect") > 50
    until(lambda: "is silent since" in browser.page("/"), seconds=10, what="the overview has read the alarm")
    assert '<a href="/sources/of?source=%3Cscript%3E' in browser.page("/"), "the alarm leads to the page of its source"


def test_silences_that_ended_are_listed_with_their_site_the_newest_first(store, browser):
    fill(store, HOSTILE)
    began = END - timedelta(days=3)
    silences = [
        ((HOSTILE, "<b>site</b>"), began, began + timedelta(hours=9)),
        ((HOSTILE, ""), began + timedelta(days=1), began + timedelta(days=1, hours=5)),
        (("another source", ""), began, began + timedelta(hours=77)),
    ]
    with store.begin() as connection:
        add_past_silences(connection, silences)
    page = browser.get("/sources/of", params={"source": HOSTILE}).text
    _, title, rest = page.partition("Earlier silences")
    assert title
    shown = rest.partition("</ul>")[0]
    assert shown.index("5.0\u202fh") < shown.index("9.0\u202fh")
    assert "&lt;b&gt;site&lt;/b&gt;" in shown
    assert shown.count("<li>") == 2, "those of another source are on its own page"


def test_losses_are_shown_by_site_for_all_sources_and_for_one(store, browser):
    source = HOSTILE
    fill(store, source)
    page = browser.get("/sources/of", params={"source": source}).text
    assert '<a href="/sources/losses?source=%3Cscript%3E' in page
    assert '<a href="/sources/losses?hours=24">' in browser.page("/sources")
    for query in ({}, {"source": source}, {"hours": 168, "source": source}):
        page = counted(browser, query)
        assert "<script>alert" not in page
        assert "(no URL)" in page, "no document of this test has a site"
        assert "<code>no_title</code></a>" in page
    assert "<code>no_title</code></a> 1</div>" in page
    assert "No document got an outcome" in counted(browser, {"source": "nobody"})
    table = browser.get("/sources/losses", params={"source": source, "csv": "1"})
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[1].startswith("site,received,")


def counted(browser, query):
    """Return the page of losses when it is counted."""
    until(lambda: "Counting" not in browser.get("/sources/losses", params=query).text, what="the losses are counted")
    return browser.get("/sources/losses", params=query).text


def test_a_source_of_which_nothing_is_known_is_not_found(browser):
    assert browser.get("/sources/of", params={"source": "nobody"}).status_code == 404


def test_thousands_of_sources_are_shown_in_pages_with_alarms_first_and_found_by_name(store, browser):
    now = datetime.now(UTC)
    rows = [
        {"source": f"many-{n:05}", "site": "", "lane": "documents", "last_at": now - timedelta(minutes=n), "last_hour": now,
         "gaps": 0, "weekly": [], "recent_documents": 0, "recent_rejected": 0}
        for n in range(6_000)
    ]  # fmt: skip
    alarm = {"source": "many-05990", "site": "", "kind": "silent", "since": now, "raised_at": now, "facts": {}}
    with store.begin() as connection:
        connection.execute(insert(source_rhythms), rows)
        connection.execute(insert(source_alarms), [alarm])
    try:
        page = browser.page("/sources")
        rhythm = page.partition('id="h-rejected"')[0]
        assert rhythm.count("</tr>") == 101
        assert "many-05990" in rhythm, "its alarm comes before 5,990 sources that were heard later"
        second = browser.page("/sources?hours=24&after=100").partition('id="h-rejected"')[0]
        assert (second.count("</tr>"), "many-05990" in second) == (101, False)
        found = browser.page("/sources?name=MANY-0577").partition('id="h-rejected"')[0]
        assert [f"many-0577{n}" in found for n in range(10)] == [True] * 10
        assert found.count("</tr>") == 11
        assert "No source has this in its name" in browser.page("/sources?name=%25%25")
        assert browser.get("/sources?csv=1").text.count("many-") in (4999, 5000), "another test may have added a source"
        for odd in ("after=99999999999999999999", "after=-1", "after=x", f"after={10**18}"):
            browser.page(f"/sources?{odd}")
    finally:
        with store.begin() as connection:
            for table in (source_alarms, source_rhythms):
                connection.execute(delete(table).where(table.c.source.startswith("many-")))


def test_losses_are_found_by_the_name_of_a_site(store, browser):
    fill(store, HOSTILE)
    until(lambda: "Counting…" not in browser.page("/sources/losses?hours=168"), what="it is counted")
    assert "No site has this in its name" in browser.page("/sources/losses?hours=168&site=%3Cb%3Enone")
    assert "(no URL)" in browser.page("/sources/losses?hours=168")
