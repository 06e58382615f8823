"""Named users of the console: a viewer changes nothing, an operator's actions are recorded with the name."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import delete

from tests.integration.console.conftest import BASE, Browser
from worker.activity import heartbeats
from worker.activity.heartbeats import WorkerState
from worker.activity.stop_requests import take_stop_request
from worker.console.access.users import Role, user_file
from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.queue.pauses.lane_pauses import paused
from worker.queue.pauses.source_pauses import paused_sources
from worker.store.operator_actions import read_actions
from worker.store.service_tables import operator_actions


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite: other tests try the store on both databases; these test people."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


@pytest.fixture
def tokens(config, store):
    """The tokens of two users, by role; no action is recorded yet."""
    users = user_file(config)
    yield {"operator": users.add("ann", Role.OPERATOR), "viewer": users.add("bob", Role.VIEWER)}
    users.path.unlink()
    with store.begin() as connection:
        connection.execute(delete(operator_actions))


@pytest.fixture
def as_role(config, console_context, tokens):
    """`as_role(role)`: a browser in which the user of that role has logged in."""
    console = ConsoleContext(config, timeout=20)

    def logged_in(role):
        browser = Browser(build(console, names=frozenset({"localhost"})), base_url=BASE)
        browser.page("/login")
        assert browser.submit("/login", token=tokens[role]).status_code == 303
        return browser

    yield logged_in
    console.close()


def recorded(store):
    with store.connect() as connection:
        return [(row.who, row.via, row.action, row.subject, row.reason) for row in read_actions(connection)]


@pytest.fixture
def worker(redis_client):
    state = WorkerState("host:1", "host", 1, "1", 1.0, ("documents",), 2, state="consuming")
    heartbeats.send(redis_client, state)
    return state.name


def test_without_a_token_no_page_is_shown(config, console_context, tokens):
    browser = Browser(build(console_context, names=frozenset({"localhost"})), base_url=BASE)
    for page in ("/", "/lanes", "/actions", "/workers/stop?worker=host:1"):
        answer = browser.get(page, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].startswith("/login")) == (303, True)


ACTIONS = ["/dead/jobs", "/dead/discard", "/dead/{dead_letter_id}/check", "/dead/{dead_letter_id}/replay", "/dead/{dead_letter_id}/discard",
           "/lanes/documents/pause", "/lanes/documents/resume", "/lanes/documents/sources/pause",
           "/lanes/documents/sources/resume", "/sources/pause", "/workers/stop"]  # fmt: skip


def test_each_form_is_tried_as_a_viewer(console_context):
    app = build(console_context, names=None).app
    posted = {route.path.replace("{number:number}", "{dead_letter_id}").replace("{lane}", "documents")
              for route in app.routes if "POST" in route.methods}  # fmt: skip
    assert posted - {"/login", "/logout", "/theme", "/dead/jobs/{job}/stop"} == set(ACTIONS)


@pytest.mark.parametrize("path", ACTIONS)
def test_a_viewer_changes_nothing(as_role, store, redis_client, dead_letter_id, worker, path):
    browser = as_role("viewer")
    browser.page("/lanes")
    answer = browser.submit(
        path.format(dead_letter_id=dead_letter_id), reason="x", source="mad", worker=worker, text="x", scope="all"
    )
    assert (answer.status_code, "the role is viewer" in answer.text) == (403, True)
    assert (paused(redis_client), paused_sources(redis_client, "documents")) == ({}, {})
    assert take_stop_request(redis_client, worker) is None
    assert [action for _, _, action, _, _ in recorded(store)] == ["log in"]


@pytest.mark.parametrize(
    "page", ["/lanes", "/workers", "/workers/stop?worker=host:1", "/dead/letters", "/dead/{dead_letter_id}", "/actions"]
)
def test_a_viewer_sees_the_pages_without_buttons_that_act(as_role, dead_letter_id, worker, page):
    text = as_role("viewer").page(page.format(dead_letter_id=dead_letter_id))
    assert "bob" in text
    forms = re.findall(r'<form method="post" action="([^"]*)"', text) + re.findall(r'<form id="edit"', text)
    assert set(forms) <= {"/theme", "/logout", "/dead/jobs"}
    assert '<button class="danger"' not in text
    assert '<button class="first"' not in text


def test_an_operators_actions_are_recorded_with_the_name(as_role, store, redis_client, dead_letter_id, worker):
    browser = as_role("operator")
    browser.page("/lanes")
    for path, form in (
        ("/lanes/documents/pause", {"reason": "<b>not tonight</b>"}),
        ("/lanes/documents/resume", {}),
        ("/lanes/documents/sources/pause", {"source": "mad", "reason": "nonsense"}),
        ("/lanes/documents/sources/resume", {"source": "mad"}),
        (f"/dead/{dead_letter_id}/discard", {"reason": "not ours"}),
        ("/workers/stop", {"worker": worker}),
    ):
        assert browser.submit(path, **form).status_code == 303, path
    assert recorded(store) == [
        ("ann", "console", "worker stop", "host:1", ""),
        ("ann", "console", "dead discard", f"dead letter {dead_letter_id}", "not ours"),
        ("ann", "console", "lane resume", "source mad of lane documents", ""),
        ("ann", "console", "lane pause", "source mad of lane documents", "nonsense"),
        ("ann", "console", "lane resume", "documents", ""),
        ("ann", "console", "lane pause", "documents", "<b>not tonight</b>"),
        ("ann", "console", "log in", "console", ""),
    ]
    page = browser.page("/actions")
    assert "&lt;b&gt;not tonight" in page
    assert "<b>not tonight" not in page
    assert "source mad" not in browser.page("/actions?who=bob")
    assert browser.get("/actions?csv=1").text.count("\n") >= 7
    assert take_stop_request(redis_client, worker) == "ann"


def test_what_is_refused_is_not_recorded(as_role, store):
    browser = as_role("operator")
    browser.page("/lanes")
    assert browser.submit("/lanes/documents/pause", reason="").status_code == 422
    assert browser.submit("/lanes/documents/sources/resume", source="mad").status_code == 409
    assert browser.submit("/workers/stop", worker="nobody:1").status_code == 404
    assert len(recorded(store)) == 1


def test_an_action_is_done_also_if_it_cannot_be_recorded(as_role, store, redis_client):
    browser = as_role("operator")
    browser.page("/lanes")

    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE operator_actions RENAME TO away")
    try:
        assert browser.submit("/lanes/documents/pause", reason="x").status_code == 303
    finally:
        with store.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO operator_actions")
    assert "documents" in paused(redis_client)


def test_a_worker_is_stopped_after_a_confirmation(as_role, redis_client, worker):
    browser = as_role("operator")
    assert f"/workers/stop?worker={worker.replace(':', '%3A')}" in browser.page("/workers")
    assert "finishes its running batches" in browser.page(f"/workers/stop?worker={worker}")
    assert take_stop_request(redis_client, worker) is None
    assert browser.submit("/workers/stop", worker=worker).headers["location"] == "/workers"
    assert take_stop_request(redis_client, worker) == "ann"
    assert browser.get("/workers/stop?worker=nobody:1").status_code == 404
