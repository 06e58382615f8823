"""What waits on a lane, one entry of it, and what each process does."""

import time

import pytest

from tests.integration.console.conftest import HOSTILE, SECRET
from worker.activity import heartbeats
from worker.activity.heartbeats import PoolProcess, WorkerState
from worker.queries import pending
from worker.queries.waiting import held_entries, waiting_entries
from worker.queue.lease_queue import LeaseQueue


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite: the pages read Redis only."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


@pytest.fixture
def entries(redis_client):
    """The ids of 120 entries, every tenth of another source."""
    LeaseQueue(redis_client, "documents").ensure()
    return [
        redis_client.xadd("documents", {"raw": f"document {n}", "source": "odd" if n % 10 == 0 else "even", "key": f"{n}.md"}).decode()
        for n in range(120)
    ]  # fmt: skip


def test_entries_are_listed_from_both_ends_and_page_by_page(redis_client, entries):
    first = waiting_entries(redis_client, "documents")
    second = waiting_entries(redis_client, "documents", after=first.after)
    third = waiting_entries(redis_client, "documents", after=second.after)
    assert [one.id for page in (first, second, third) for one in page.entries] == entries
    assert third.after == ""
    newest = waiting_entries(redis_client, "documents", newest=True)
    assert [one.id for one in newest.entries] == entries[:-51:-1]
    assert (first.entries[0].source, first.entries[0].key, first.entries[0].size) == ("odd", "0.md", 10)


def test_the_entries_of_a_source_are_found_among_others(redis_client, entries):
    found = waiting_entries(redis_client, "documents", source="odd")
    assert [one.key for one in found.entries] == [f"{n}.md" for n in range(0, 120, 10)]
    assert waiting_entries(redis_client, "documents", source="none").scanned == 120


def test_large_entries_end_the_search_early(redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    for _ in range(20):
        redis_client.xadd("documents", {"raw": "x" * (1 << 20), "source": "large"})
    found = waiting_entries(redis_client, "documents", source="other")
    assert (found.scanned, bool(found.after)) == (16, True)


def test_entries_with_many_empty_fields_end_the_search_early(redis_client, monkeypatch):
    for _ in range(8):
        redis_client.execute_command("XADD", "documents", "*", *[""] * 200_000)
    LeaseQueue(redis_client, "documents").ensure()
    found = waiting_entries(redis_client, "documents", source="other")
    assert (found.scanned, bool(found.after)) == (6, True), "16 MiB at 3.2 MB"
    monkeypatch.setattr(pending, "_MAX_SEARCHED_BYTES", 6_000_000)
    assert pending.find_pending(redis_client, ["documents"], "key") == ([], ["documents"])


def test_the_page_shows_states_and_leads_to_one_document(browser, redis_client, entries):
    queue = LeaseQueue(redis_client, "documents")
    queue.dispatch(limit=10, pending_cap=800, max_bytes=1 << 20)
    page = browser.page("/lanes/documents/entries")
    assert entries[0] in page
    assert page.count(">dispatched<") == 10
    assert ">110.md<" in browser.page("/lanes/documents/entries?source=odd&order=newest")
    assert "document 7" in browser.page(f"/lanes/documents/entries/{entries[7]}")


def test_hostile_entries_are_escaped_and_their_secrets_hidden(browser, redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    raw = f'---\ntitle: {HOSTILE}\nsecured: "{SECRET}"\n---\nhttps://me:hunter22@a.example/\n'
    id_ = redis_client.xadd("documents", {"raw": raw, "source": HOSTILE, "key": HOSTILE, "op": "<b>"}).decode()
    for path in ("/lanes/documents/entries", f"/lanes/documents/entries/{id_}"):
        page = browser.page(path)
        assert "<script>alert" not in page
        assert SECRET[:12] not in page
        assert "hunter22" not in page


@pytest.mark.parametrize(
    "path", ["/lanes/none/entries", "/lanes/documents/entries/1-1", "/lanes/documents/entries/x", "/lanes/%00/entries"]
)
def test_what_is_not_there_is_not_found(browser, path):
    browser.page(path, 404)


def test_the_workers_page_shows_what_each_process_does_and_since_when(browser, redis_client, console_context):
    now = time.time()
    pool = (PoolProcess(71, "documents", 40, now - 12), PoolProcess(72))
    state = WorkerState("host:70", "host", 70, "0.1.0", now - 100, ("documents",), 2, "consuming", now - 50, pool=pool)
    heartbeats.send(redis_client, state)
    console_context.redis_snapshot.forget()
    page = browser.page("/workers")
    assert "host:70" in page
    assert "kill -TERM 70" in page
    assert 'data-label="documents">40<' in page
    assert "12" in page.split('data-label="for">')[1][:6]
    assert "/lanes/documents/entries?holder=host%3A71" in page


def test_a_document_is_found_by_a_part_of_its_key(browser, redis_client, entries):
    found = waiting_entries(redis_client, "documents", key="11")
    assert [one.key for one in found.entries] == ["11.md", *(f"{n}.md" for n in range(110, 120))]
    assert waiting_entries(redis_client, "documents", key="%").entries == ()
    page = browser.page("/lanes/documents/entries?key=11&source=odd")
    assert page.count("</tr>") == 2
    assert ">110.md<" in page
    assert "None of the 120 entries looked at matches" in browser.page("/lanes/documents/entries?key=nothing")


def test_what_a_process_works_on_is_listed(browser, redis_client, entries):
    queue = LeaseQueue(redis_client, "documents")
    queue.dispatch(limit=10, pending_cap=800, max_bytes=1 << 20)
    queue.claim("host:71", entries[2:5], lease_seconds=60, max_bytes=1000)
    found = held_entries(redis_client, "documents", "host:71")
    assert [(one.id, one.state) for one in found.entries] == [(id_, "processing") for id_ in entries[2:5]]
    page = browser.page("/lanes/documents/entries?holder=host%3A71")
    assert [f">{n}.md<" in page for n in range(6)] == [False, False, True, True, True, False]
    assert "It works on none of this lane now" in browser.page("/lanes/documents/entries?holder=host%3A99")


def test_the_csv_has_more_rows_than_the_page(browser, redis_client, entries):
    assert browser.page("/lanes/documents/entries").count("</tr>") == 51
    assert browser.get("/lanes/documents/entries?csv=1").text.count(".md") == 120
