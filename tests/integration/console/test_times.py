"""The page of times, on counters that real batches wrote."""

from collections import Counter

import pytest

from worker.activity.minute_counters import Counts, MinuteCounters


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite: the page reads Redis only."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


@pytest.mark.parametrize("span", ["hour", "day", "week"])
def test_the_page_shows_each_stage_in_plain_words_for_every_span(browser, redis_client, span):
    counts = Counts(
        "documents",
        Counter({("a", "stored"): 4}),
        stages_ms={"read": 12.0, "write": 30.0, "store": 25.0},
        waits=[0.2] * 4,
    )
    MinuteCounters(redis_client).add(counts)

    page = browser.page(f"/times?span={span}")

    assert "Write the other changes and commit" in page
    assert "No stage became slow" in page
    assert page.count("<svg") == 8
    assert "At most 25.0 ms a batch." in page


def test_a_span_without_batches_says_so(browser):
    assert "No batch was processed in this time." in browser.page("/times")
    assert "No batch was processed in this time." in browser.page("/times?span=week&lane=documents")


def test_the_overview_leads_to_it(browser):
    assert 'href="/times"' in browser.page("/")
