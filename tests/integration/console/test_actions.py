"""Every action on a real store: edits, dry runs, replays, discards, pauses."""

import re

import pytest
from sqlalchemy import select

from tests.integration.console.conftest import SECRET, broken
from tests.integration.store.store_driver import work
from tests.support.servers import until
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.queue.pauses.lane_pauses import paused
from worker.queue.pauses.source_pauses import paused_sources
from worker.settings import INTERNAL_LANE
from worker.store import dead_letters as dead
from worker.store.tables import articles, dead_letters

MENDED = ("title: Plans: the harbour wall", 'title: "Plans: the harbour wall"')


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite: other tests try the store on both databases; these test the forms."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


def at_the_editor(browser, number):
    """Return what the editor of a dead letter holds: its text, and the version of the text."""
    import html

    page = browser.page(f"/dead/{number}")
    text = re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)[1]
    return html.unescape(text), re.search(r'name="version" value="(\w*)"', page)[1]


def row_of(store, number):
    with store.connect() as connection:
        return connection.execute(select(dead_letters).where(dead_letters.c.id == number)).one()


def sent(client):
    return [fields for _, fields in client.xrange(INTERNAL_LANE)]


def test_a_check_reports_the_problem_and_changes_nothing(browser, store, redis_client, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    before = row_of(store, dead_letter_id)

    page = browser.submit(f"/dead/{dead_letter_id}/check", text=text, version=version).text

    assert "It would be rejected again: 1 error." in page
    assert row_of(store, dead_letter_id) == before
    assert sent(redis_client) == []


def test_a_check_for_htmx_is_the_result_alone(browser, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    csrf = re.search(r'name="csrf" value="(\w+)"', browser.last)[1]
    form = {"text": text.replace(*MENDED), "version": version, "csrf": csrf}

    answer = browser.post(f"/dead/{dead_letter_id}/check", data=form, headers={"hx-request": "true"})

    assert "It would pass." in answer.text
    assert "<html" not in answer.text


def test_a_refused_check_for_htmx_is_a_fragment_of_the_page(browser, dead_letter_id):
    answer = browser.post(f"/dead/{dead_letter_id}/check", data={"text": "x"}, headers={"hx-request": "true"})

    assert answer.status_code == 403
    assert "Load the page again" in answer.text
    assert "<html" not in answer.text


def test_an_edited_dead_letter_is_sent_with_its_secrets_and_is_accepted(browser, store, redis_client, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    assert SECRET not in text

    done = browser.submit(
        f"/dead/{dead_letter_id}/replay", text=text.replace(*MENDED).replace("\n", "\r\n"), version=version
    )

    assert done.headers["location"] == f"/dead/{dead_letter_id}"
    [(id_, fields)] = redis_client.xrange(INTERNAL_LANE)
    assert SECRET.encode() in fields[b"raw"]
    assert b"hunter22" in fields[b"raw"]
    assert b"\r" not in fields[b"raw"]
    assert "A worker will process it in a moment" in browser.page(f"/dead/{dead_letter_id}")
    work(store, INTERNAL_LANE, [Claimed(id_.decode(), 0, 100, fields, truncated=False)])
    assert "Replayed, and it passed." in browser.page(f"/dead/{dead_letter_id}")
    with store.connect() as connection:
        assert (
            connection.scalar(select(articles.c.secured).where(articles.c.title == "Plans: the harbour wall")) == SECRET
        )


def test_an_invalid_text_is_not_sent_and_not_lost(browser, redis_client, store, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)

    answer = browser.submit(f"/dead/{dead_letter_id}/replay", text=text + "more & <more>", version=version)

    assert answer.status_code == 422
    assert "more &amp; &lt;more&gt;" in answer.text
    assert sent(redis_client) == []
    assert row_of(store, dead_letter_id).edits == 0


def test_two_operators_do_not_overwrite_each_other(browser, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    browser.submit(f"/dead/{dead_letter_id}/replay", text=text.replace(*MENDED), version=version)

    answer = browser.submit(f"/dead/{dead_letter_id}/replay", text=text.replace(*MENDED) + "other", version=version)

    assert answer.status_code == 409
    assert "Somebody else has edited it in the meantime" in answer.text


def test_a_dead_letter_is_discarded_with_a_reason(browser, store, dead_letter_id):
    browser.page(f"/dead/{dead_letter_id}")
    assert browser.submit(f"/dead/{dead_letter_id}/discard", reason=" ").status_code == 422
    assert browser.submit(f"/dead/{dead_letter_id}/discard", reason="<b>not ours</b>").status_code == 303
    assert row_of(store, dead_letter_id).status == "discarded"
    page = browser.page(f"/dead/{dead_letter_id}")
    assert "&lt;b&gt;not ours&lt;/b&gt;" in page
    assert browser.submit(f"/dead/{dead_letter_id}/discard", reason="again").status_code == 409


def test_a_dead_letter_that_is_not_utf8_can_be_sent_as_utf8(browser, store, redis_client):
    raw = "---\ntitle: Caf\u00e9\nwebUrl: https://www.harbour.example/cafe\n---\n".encode("latin-1")
    entry = broken(7, "x", source="latin")
    entry.fields[b"raw"] = raw
    work(store, "documents", [entry])
    with store.connect() as connection:
        number = dead.highest(connection, dead.Filter(source="latin"))
    text, version = at_the_editor(browser, number)

    browser.submit(f"/dead/{number}/replay", text=text, version=version)

    assert "Café" in text
    assert sent(redis_client)[0][b"raw"] == raw.decode("latin-1").encode()


def finished(browser, path):
    """Wait for the end of a bulk action; returns its page."""

    def ended():
        page = browser.page(path)
        return page if "hx-trigger" not in page else None

    return until(ended, what="the action ends")


def test_a_bulk_replay_tries_all_of_a_cause_and_sends_those_that_pass(browser, store, redis_client):
    good = "---\ntitle: '{0}'\nwebUrl: https://www.harbour.example/bulk/{0}\n---\n"
    work(store, "documents", [broken(n, source="bulk") for n in range(20, 23)])
    with store.begin() as connection:
        # The cause is gone for two of them: their text is accepted now.
        for dead_letter_id in dead.find(connection, dead.Filter(source="bulk"))[:2]:
            raw = good.format(dead_letter_id.id).encode()
            assert dead.keep_edit(connection, dead_letter_id, raw, "test")
    browser.page("/dead/letters?source=bulk")
    assert browser.submit("/dead/jobs", source="bulk", do="replay").status_code == 409

    tried = browser.submit("/dead/jobs", source="bulk").headers["location"]
    page = finished(browser, tried)

    assert "Replay the 2 that would pass" in page
    assert sent(redis_client) == []
    job = re.search(r'name="job" value="([\w-]+)"', page)[1]
    assert "2" in finished(browser, browser.submit("/dead/jobs", job=job).headers["location"])
    assert len(sent(redis_client)) == 2
    assert browser.submit("/dead/jobs/" + job + "/stop").status_code == 303


def test_a_bulk_discard_discards_as_many_as_it_counted(browser, store):
    work(store, "documents", [broken(n, source="away") for n in range(30, 33)])
    form = {"source": "away", "code": "yaml_unquoted_colon", "text": "", "reason": "not ours"}
    browser.page("/dead/letters?source=away&code=yaml_unquoted_colon")

    assert browser.submit("/dead/discard", **form, count="2").status_code == 409
    assert browser.submit("/dead/discard", **{**form, "code": ""}, count="3").status_code == 422
    assert browser.submit("/dead/discard", **{**form, "reason": ""}, count="3").status_code == 422
    assert browser.submit("/dead/discard", **form, count="3").status_code == 303
    with store.connect() as connection:
        assert dead.count(connection, dead.Filter(source="away")) == 0
        assert dead.count(connection, dead.Filter(source="away", status="discarded")) == 3


def test_a_lane_is_paused_with_a_reason_and_resumed(browser, redis_client):
    browser.page("/lanes")
    assert browser.submit("/lanes/documents/pause", reason="").status_code == 422
    assert browser.submit("/lanes/nothing/pause", reason="x").status_code == 404
    assert browser.submit("/lanes/documents/resume").status_code == 409
    assert browser.submit("/lanes/documents/pause", reason="<b>nonsense</b>").status_code == 303
    assert paused(redis_client)["documents"].why == "<b>nonsense</b>"
    assert "&lt;b&gt;nonsense&lt;/b&gt;" in browser.page("/lanes")
    assert browser.submit("/lanes/documents/resume").status_code == 303
    assert paused(redis_client) == {}


@pytest.mark.parametrize("path", ["/dead/{0}/check", "/dead/{0}/replay"])
def test_a_form_larger_than_any_document_is_refused(browser, dead_letter_id, path):
    _, version = at_the_editor(browser, dead_letter_id)

    answer = browser.submit(path.format(dead_letter_id), text="x" * (4 << 20), version=version)

    assert answer.status_code == 413


def test_a_source_is_paused_on_one_lane_and_resumed(browser, redis_client):
    browser.page("/lanes")
    assert browser.submit("/lanes/documents/sources/pause", source="mad", reason="").status_code == 422
    assert browser.submit("/lanes/documents/sources/pause", source="a\x01b", reason="x").status_code == 422
    assert browser.submit("/lanes/nothing/sources/pause", source="mad", reason="x").status_code == 404
    hostile = "<i>mad</i> & 'co'"
    assert browser.submit("/lanes/documents/sources/pause", source=hostile, reason="<b>nonsense</b>").status_code == 303
    assert paused_sources(redis_client, "documents")[hostile].why == "<b>nonsense</b>"
    assert paused(redis_client) == {}
    page = browser.page("/lanes")
    assert "&lt;i&gt;mad" in page
    assert "<i>mad" not in page
    assert "&lt;b&gt;nonsense" in page
    assert browser.submit("/lanes/documents/sources/resume", source=hostile).status_code == 303
    assert paused_sources(redis_client, "documents") == {}
    assert browser.submit("/lanes/documents/sources/resume", source=hostile).status_code == 409


def test_an_alarm_of_a_pause_has_a_button_that_ends_it_and_returns(browser, redis_client, console_context):
    LeaseQueue(redis_client, "documents").ensure()
    browser.page("/lanes")
    for name, form in (
        ("/lanes/documents/pause", {}),
        ("/sources/pause", {"lane": "documents", "source": "<b>mad</b>"}),
    ):
        assert browser.submit(name, reason="tonight", **form).status_code == 303
    until(
        lambda: "&lt;b&gt;mad&lt;/b&gt;</button>" in browser.page("/?span=day"), what="the overview has read the pauses"
    )
    assert "<button>Resume documents</button>" in browser.last
    for action, source in (("/lanes/documents/resume", ""), ("/lanes/documents/sources/resume", "<b>mad</b>")):
        assert f'action="{action}"' in browser.last
        done = browser.submit(action, source=source, next="/?span=day")
        assert (done.status_code, done.headers["location"]) == (303, "/?span=day")
    until(lambda: "<button>Resume" not in browser.page("/"), what="the overview has read that they are resumed")


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_a_form_returns_to_a_page_of_the_console_only(browser, redis_client, target):
    LeaseQueue(redis_client, "documents").ensure()
    browser.page("/lanes")
    assert browser.submit("/lanes/documents/pause", reason="x", next=target).headers["location"] == "/"
    assert browser.submit("/lanes/documents/resume").headers["location"] == "/lanes"


@pytest.mark.parametrize("lane", ["", "none", "copydesk:internal"])
def test_a_source_is_paused_on_a_lane_that_is_configured_only(browser, lane):
    browser.page("/lanes")
    assert browser.submit("/sources/pause", lane=lane, source="mad", reason="x").status_code == 404


def test_a_dead_letter_leads_to_those_before_and_after_it_of_its_cause(store, browser):
    raws = (
        "---\nexcerpt: x\nwebUrl: https://a.example/\n---\n",
        "no front matter",
        "---\nexcerpt: y\nwebUrl: https://b.example/\n---\n",
    )
    numbers = [9001, 9002, 9003]
    work(store, "documents", [broken(number, raw) for number, raw in zip(numbers, raws, strict=True)])
    with store.connect() as connection:
        rows = dict(connection.execute(select(dead_letters.c.key, dead_letters.c.id)).all())
    first, _, last = (rows[f"{number}.md"] for number in numbers)
    assert f'<a href="/dead/{last}" rel="next">' in browser.page(f"/dead/{first}")
    assert f'<a href="/dead/{first}" rel="prev">' in browser.page(f"/dead/{last}")
    assert browser.submit(f"/dead/{first}/discard", reason="x").status_code == 303
    assert 'rel="prev"' not in browser.page(f"/dead/{last}"), "it is not open any more"
