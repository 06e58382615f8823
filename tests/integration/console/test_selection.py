"""Many dead letters at once: those that are ticked, or all that match; a dry run, an edit with its example, a discard."""

import html
import re
import time

import pytest

from tests.integration.console.conftest import BROKEN, SECRET, _Numbers, broken
from tests.integration.console.test_actions import finished, sent
from tests.integration.store.store_driver import work
from worker.store import dead_letters as dead


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite: these test the forms."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


@pytest.fixture
def cause(store, request):
    """The source of four new dead letters of one cause, and their numbers."""
    source = f"source-{_Numbers.next()}"
    work(store, "documents", [broken(_Numbers.next(), source=source) for _ in range(4)])
    with store.connect() as connection:
        return source, [one.id for one in dead.find(connection, dead.Filter(source=source))]


def states(store, source):
    with store.connect() as connection:
        return {one.id: one.status for one in dead.find(connection, dead.Filter(source=source, status=None))}


EDIT = {"do": "edit", "old": "title: Plans: the", "new": "title: Plans, the"}


def job_of(page):
    return re.search(r'name="job" value="([\w-]+)"', page)[1]


def test_an_edit_of_ticked_ones_shows_its_diff_and_sends_only_those(browser, store, redis_client, cause):
    source, (first, second, *_) = cause
    assert 'type="checkbox" name="id"' in browser.page(f"/dead/letters?source={source}")

    tried = browser.submit("/dead/jobs", source=source, scope="ticked", id=[first, second], **EDIT)
    page = finished(browser, tried.headers["location"])

    assert "Edit and replay the 2 that would pass" in page
    assert "-title: Plans: the harbour wall" in page
    assert "+title: Plans, the harbour wall" in page
    assert sent(redis_client) == []
    done = finished(browser, browser.submit("/dead/jobs", job=job_of(page)).headers["location"])
    assert "<dt>sent</dt><dd>2</dd>" in done
    assert {int(fields[b"dead_letter"]) for fields in sent(redis_client)} == {first, second}
    assert all(
        b"title: Plans, the" in fields[b"raw"] and SECRET.encode() in fields[b"raw"] for fields in sent(redis_client)
    )
    with store.connect() as connection:
        assert {one.action for one in dead.actions_of(connection, first)} == {"edited", "replayed"}


def test_all_that_match_are_edited_by_a_regular_expression(browser, redis_client, cause):
    source, _ = cause
    browser.page(f"/dead/letters?source={source}")
    form = {"do": "edit", "old": r"^title: (\w+): (.*)$", "new": r"title: '\1, \2'", "pattern": "1", "scope": "all"}

    page = finished(browser, browser.submit("/dead/jobs", source=source, **form).headers["location"])

    assert "Edit and replay the 4 that would pass" in page
    assert "+title: &#39;Plans, the harbour wall&#39;" in page


def test_the_example_of_an_edit_shows_no_secret(browser, store):
    source = f"source-{_Numbers.next()}"
    lines = BROKEN.replace("title: Plans: the harbour wall", "title: Plans")
    # The secured value is what makes it invalid: it is not closed.
    work(store, "documents", [broken(_Numbers.next(), lines.replace(f'"{SECRET}"', f'"{SECRET}'), source=source)])
    browser.page(f"/dead/letters?source={source}")
    form = {"do": "edit", "old": f'secured: "{SECRET[:8]}', "new": f"secured: {SECRET[:8]}", "scope": "all"}

    page = finished(browser, browser.submit("/dead/jobs", source=source, **form).headers["location"])

    assert "What changes" in page
    assert SECRET[8:20] not in html.unescape(page)


def test_a_pattern_that_needs_hours_ends_and_blocks_no_page(browser, store, cause):
    source, _ = cause
    work(store, "documents", [broken(_Numbers.next(), BROKEN + "a" * 40 + "!", source=source)])
    browser.page(f"/dead/letters?source={source}")
    form = {"do": "edit", "old": r"(a+)+$", "new": "x", "pattern": "1", "scope": "all"}
    location = browser.submit("/dead/jobs", source=source, **form).headers["location"]

    began = time.monotonic()
    browser.page("/dead")

    assert time.monotonic() - began < 5
    assert "the change takes longer than 2 s" in finished(browser, location)


@pytest.mark.parametrize(("form", "status", "sentence"), [
    ({"scope": "ticked"}, 422, "Nothing is ticked"),
    ({"scope": "all", "do": "edit", "old": ""}, 422, "Enter the text to replace"),
    ({"scope": "all", "do": "edit", "old": "(", "pattern": "1"}, 422, "not a regular expression"),
    ({"scope": "all", "do": "edit", "old": "x", "new": r"\2", "pattern": "1"}, 422, "not a regular expression"),
    ({"scope": "all", "csrf": "0" * 64}, 403, "older page"),
])  # fmt: skip
def test_a_form_that_cannot_be_done_is_refused(browser, cause, form, status, sentence):
    browser.page(f"/dead/letters?source={cause[0]}")
    answer = browser.submit("/dead/jobs", source=cause[0], **form)
    assert (answer.status_code, sentence in answer.text) == (status, True)


def test_ticked_ones_are_discarded_and_the_others_stay_open(browser, store, cause):
    source, (first, second, third, fourth) = cause
    browser.page(f"/dead/letters?source={source}")
    answer = browser.submit(
        "/dead/discard", source=source, scope="ticked", id=[second, fourth], reason="not ours", count="4"
    )
    assert answer.status_code == 303
    assert states(store, source) == {first: "open", second: "discarded", third: "open", fourth: "discarded"}


def test_ticks_of_another_cause_are_not_touched(browser, store, cause, dead_letter_id):
    source, (first, *_) = cause
    browser.page(f"/dead/letters?source={source}")
    browser.submit("/dead/discard", source=source, scope="ticked", id=[first, dead_letter_id], reason="not ours")
    assert states(store, source)[first] == "discarded"
    assert states(store, "crawler")[dead_letter_id] == "open"


def test_a_link_ticks_all_of_the_page_without_a_script(browser, cause):
    source, numbers = cause
    page = browser.page(f"/dead/letters?source={source}&mark=1")
    for number in numbers:
        assert re.search(rf'name="id" value="{number}"[^>]* checked', page)
