"""Every page on a real store: what it shows, what it escapes, and what it never shows."""

import html

import pytest

from tests.integration.console.conftest import HOSTILE, SECRET
from worker.activity.minute_counters import Counts, MinuteCounters
from worker.activity.outcome_feed import publish
from worker.monitoring.snapshot_poller import SnapshotPoller
from worker.monitoring.status import Unreachable
from worker.queue.lease_queue import LeaseQueue


def publish_outcomes(client, *rows):
    with client.pipeline(transaction=False) as pipe:
        publish(pipe, lane="documents", worker="w:1", rows=rows)
        pipe.execute()


@pytest.fixture
def busy(redis_client):
    """A minute with outcomes in the counters."""
    counts = Counts("documents")
    counts.outcomes["<i>crawler</i>", "stored"] = 90
    counts.outcomes["<i>crawler</i>", "rejected"] = 10
    MinuteCounters(redis_client).add(counts)
    redis_client.xadd("documents", {"raw": "x"})


def test_the_overview_shows_backlog_outcomes_alarms_and_servers(browser, busy, dead_letter_id):
    page = browser.page("/")

    assert 'start one with copydesk up or copydesk worker <a href="/workers">Open</a>' in page
    assert 'class="plot bars"' in page
    assert "100 documents got an outcome" in page
    assert "10 documents rejected, 10.0% of all" in page
    assert "1 document waits now" in page
    assert "&lt;i&gt;crawler&lt;/i&gt;" in page
    assert "<i>crawler" not in page
    assert "valkey" in page
    assert "yaml_unquoted_colon" in page
    assert "1 added = 0 with an outcome + 1 in the backlog" in page


def test_the_plots_have_their_figures_as_a_table(browser, busy):
    page = browser.page("/?span=day")

    assert page.count('role="img"') == 3
    assert "by the quarter of an hour" in page


def test_the_tail_is_filtered(browser, redis_client):
    publish_outcomes(redis_client, ("1-0", "a", "stored", "x.md", "https://a.example/x", []),
         ("2-0", "<b>", "rejected", "y.md", None, ["no_title"]))  # fmt: skip

    assert "x.md" in browser.page("/tail")
    rejected = browser.page("/tail?outcome=rejected")
    assert "x.md" not in rejected
    assert "y.md" in rejected
    assert "&lt;b&gt;" in rejected
    for none in ("source=c", "code=no_url", "url=nowhere"):
        assert "Nothing matches." in browser.page(f"/tail?{none}")


def test_the_tail_shows_new_outcomes_first(browser, redis_client):
    publish_outcomes(redis_client, ("1-0", "a", "stored", "first.md", None, []))
    browser.page("/tail")
    publish_outcomes(redis_client, ("2-0", "a", "stored", "second.md", None, []))

    page = browser.page("/tail")

    assert page.index("second.md") < page.index("first.md")


@pytest.mark.parametrize("wanted", [
    "https://www.harbour.example/1", "1.md", "1700000000001-0", "quoted", "SCRIPT quoted",
])  # fmt: skip
def test_search_finds_by_url_key_receipt_and_words(browser, articles, wanted):
    page = browser.page(f"/search?q={wanted}")

    assert f"/articles/{articles[0]}" in page
    assert "<script>alert" not in page


def test_search_by_words_needs_all_of_them(browser, articles):
    assert "Nothing was found" in browser.page("/search?q=quoted%20nowhere")
    assert "Nothing was found" in browser.page("/search?q=100%25")


def test_search_finds_waiting_entries(browser, redis_client):
    id_ = redis_client.xadd("documents", {"raw": "x", "source": "slow"}).decode()

    page = browser.page(f"/search?q={id_}")

    assert "pending" in page
    assert "slow" in page


def test_an_article_shows_its_links_images_topics_and_versions(browser, articles):
    first, second = articles
    page = browser.page(f"/articles/{first}")

    assert html.escape(HOSTILE, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")[:30] in page
    assert "<script>alert" not in page
    assert "<b>Ships</b>" not in page
    assert f'href="/articles/{second}"' in page
    assert 'href="https://img.example/a.png" rel="noopener noreferrer nofollow"' in page
    assert "<img" not in page
    assert "shown" in page
    assert "1700000000001-0" in page
    assert SECRET not in page
    assert f'href="/articles/{first}"' in browser.page(f"/articles/{second}")


@pytest.mark.parametrize("path", ["/articles/999999", "/articles/99999999999999999999", "/stories/999999", "/dead/999999",
                                  "/dead/jobs/none", "/nowhere", "/articles/x"])  # fmt: skip
def test_a_missing_thing_is_reported(browser, path):
    assert "Not found" in browser.page(path, 404)


def test_dead_letters_are_listed_by_cause_and_one_by_one(browser, dead_letter_id):
    assert "yaml_unquoted_colon" in browser.page("/dead")
    page = browser.page("/dead/letters?code=yaml_unquoted_colon&source=crawler")
    assert f'href="/dead/{dead_letter_id}"' in page
    assert "A colon stands inside a value without quotes." in page
    assert "There are no open dead letters" in browser.page("/dead?code=nothing")


def test_a_dead_letter_shows_its_place_and_hides_its_secrets(browser, dead_letter_id):
    page = browser.page(f"/dead/{dead_letter_id}")

    assert "<mark>:</mark> the harbour wall" in page
    assert 'id="L2"' in page
    assert SECRET not in page
    assert "hunter22" not in page
    assert "⟦hidden 1 " in page


def test_a_dead_letter_opens_whatever_the_length_of_its_lines(browser, store):
    from tests.integration.console.conftest import broken
    from tests.integration.store.store_driver import work

    work(
        store,
        "documents",
        [broken(5, "---\ntitle: " + "<b>" * 30_000 + ": x\n" + "a: b\n" * 3000 + "---\n", source="long")],
    )
    page = browser.page("/dead/letters?source=long")
    number = page.split('href="/dead/')[-1].split('"')[0]

    assert "<b>" not in browser.page(f"/dead/{number}")


def test_the_page_of_lanes_shows_each_lane(browser):
    page = browser.page("/lanes")

    assert "served" in page
    assert 'action="/lanes/documents/pause"' in page


def test_the_page_of_sources_shows_each_source(browser, dead_letter_id):
    page = browser.page("/sources")

    assert "crawler" in page
    assert "yaml_unquoted_colon" in page


def test_stories_are_empty_without_a_linker(browser):
    assert "No two articles" in browser.page("/stories")
    assert "No two articles" in browser.page("/stories?topic=x&before=nonsense")


def test_the_theme_is_kept(browser):
    assert 'data-theme="auto"' in browser.page("/lanes")
    assert browser.submit("/theme", theme="dark", next="/lanes").headers["location"] == "/lanes"
    assert 'data-theme="dark"' in browser.page("/lanes")
    assert browser.submit("/theme", theme="dark", next="//elsewhere.example").headers["location"] == "/"
    assert browser.submit("/theme", theme="pink", next="/").status_code == 400


def test_a_snapshot_without_redis_reports_it(tmp_path):
    from worker.settings import Settings

    nowhere = Settings(redis_url="redis://127.0.0.1:1/0", database_url=f"sqlite:///{tmp_path}/s.db", data_dir=tmp_path)

    snapshot = SnapshotPoller(nowhere).poll()
    assert isinstance(snapshot.redis, Unreachable)
    assert snapshot.queue is None


@pytest.mark.parametrize("path", [
    "/dead/letters?after=%C2%B2", "/dead/letters?after=" + "9" * 5000, "/search?q=%00", "/search?q=18446744073709551616-1",
    "/search?q=%D9%A1%D9%A2%D9%A1%D9%A2%D9%A1%D9%A2%D9%A1%D9%A2%D9%A1%D9%A2-1", "/dead?source=%00&text=%ED%A0%80", "/tail?source=%00",
    "/stories?topic=%00", "/stories?before=0001-01-01T00:00:00%2B14:00~1", "/stories?before=2020-01-01~%C2%B2", "/articles/" + "9" * 5000,
    "/stories/" + "9" * 19, "/dead/%C2%B2", "/dead/letters?text=" + "%25a" * 900, "/lanes/%00/pause", "/dead/jobs/%00",
])  # fmt: skip
def test_no_address_makes_a_page_fail(browser, dead_letter_id, path):
    assert browser.get(path).status_code < 500


@pytest.mark.parametrize(
    "path", ["/", "/dead", "/dead/letters?code=yaml_unquoted_colon", "/tail", "/lanes/documents/entries"]
)
def test_every_page_with_tables_gives_them_as_csv_without_secrets(browser, dead_letter_id, busy, path):
    publish_outcomes(browser.app.app.state.console.client, ("1-0", "a", "stored", "x.md", "https://a.example/x", []))
    page = browser.page(path)
    assert "The tables as CSV" in page

    answer = browser.get(path + ("&" if "?" in path else "?") + "csv=1")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.text.count("\n") >= 2
    assert SECRET not in answer.text
    assert "<" not in answer.text.replace("<i>", "").replace("</i>", "")


def test_the_overview_says_how_old_its_figures_are_and_not_that_all_is_well(
    browser, console_context, redis_client, monkeypatch
):
    LeaseQueue(redis_client, "documents").ensure()
    browser.page("/")
    value, _ = console_context.redis_snapshot.get()
    monkeypatch.setattr(console_context.redis_snapshot, "get", lambda: (value, 45.0))
    page = browser.page("/")
    assert "The figures of Redis are 45\u202fs old" in page
    assert "All is well" not in page
