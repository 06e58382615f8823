"""Access control of the console: host names, tokens, forms of other pages, headers; and its pages when a server is
unreachable.
"""

import re

import pytest

from tests.integration.console.conftest import BASE, Browser
from worker.console.access.sessions import COOKIE
from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.queue.pauses.lane_pauses import paused
from worker.settings import Settings

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite: one kind of store is enough here."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


@pytest.fixture
def guarded(config, store, redis_client):
    """A console that is reachable from other machines: with a token, under any host name."""
    console_context = ConsoleContext(config, token=TOKEN, timeout=20)
    yield Browser(build(console_context, names=None, secure=True), base_url="https://desk.example")
    console_context.close()


PATHS = [
    "/",
    "/tail",
    "/search",
    "/stories",
    "/dead",
    "/lanes",
    "/sources",
    "/sources/of",
    "/sources/losses",
    "/nowhere",
    "/static/console.css",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_what_no_page_needs(browser, path):
    headers = browser.get(path).headers

    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS[:-1])
def test_no_page_has_inline_script_or_style_or_anything_of_another_host(browser, dead_letter_id, path):
    page = browser.get(path).text

    assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", page)
    assert not re.search(r"\sstyle=|<style|\son\w+=|\shx-on", page)
    assert not re.search(r"<(?:img|iframe|object|embed|link|script)[^>]+(?:src|href)=\"(?!/static/)", page)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_name_is_refused(browser, host):
    assert browser.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("headers", [
    {"origin": "https://evil.example"},
    {"origin": "http://localhost:9999"},
    {"origin": "http://localhost:8600.evil.example"},
    {"origin": "http://["},
    {"sec-fetch-site": "cross-site", "origin": "null"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
])  # fmt: skip
def test_a_form_of_another_page_does_nothing(browser, redis_client, headers):
    csrf = re.search(r'name="csrf" value="(\w+)"', browser.page("/lanes"))[1]

    answer = browser.post("/lanes/documents/pause", data={"csrf": csrf, "reason": "x"}, headers=headers)

    assert answer.status_code == 403
    assert paused(redis_client) == {}


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
def test_a_form_without_the_token_of_its_session_does_nothing(browser, redis_client, csrf):
    browser.page("/lanes")

    assert browser.submit("/lanes/documents/pause", reason="x", csrf=csrf).status_code == 403
    assert paused(redis_client) == {}


def test_the_token_of_one_session_is_refused_in_another(console_context, redis_client):
    app = build(console_context, names=frozenset({"localhost"}))
    mine, other = Browser(app, base_url=BASE), Browser(app, base_url=BASE)
    mine.page("/lanes")
    csrf = re.search(r'name="csrf" value="(\w+)"', mine.last)[1]
    other.page("/lanes")

    assert other.submit("/lanes/documents/pause", reason="x", csrf=csrf).status_code == 403


def test_a_made_up_cookie_is_replaced(browser):
    browser.cookies.set(COOKIE, "made.up")

    assert COOKIE in browser.get("/lanes").headers["set-cookie"]


def test_the_cookie_is_sent_to_this_site_alone(browser, guarded):
    cookie = browser.get("/lanes").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" in guarded.get("/login").headers["set-cookie"].lower()


@pytest.mark.parametrize("path", [*PATHS[:-1], "/articles/1", "/dead/1", "/dead/letters", "/stories/1"])
def test_behind_a_token_nothing_is_shown_without_it(guarded, path):
    answer = guarded.get(path, follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize("path", ["/lanes/documents/pause", "/dead/1/discard", "/dead/jobs", "/logout"])
def test_behind_a_token_nothing_is_done_without_it(guarded, redis_client, path):
    guarded.page("/login")

    assert guarded.submit(path, reason="x").headers["location"] == "/login"
    assert paused(redis_client) == {}


def test_the_token_opens_a_session_and_logging_out_ends_every_copy_of_its_cookie(guarded):
    guarded.page("/login?next=/lanes")
    assert guarded.submit("/login", token="wrong", next="/").status_code == 401
    guarded.page("/login?next=/lanes")
    assert guarded.submit("/login", token=TOKEN, next="/lanes").headers["location"] == "/lanes"
    page = guarded.page("/lanes")
    assert "Log out" in page
    session = guarded.cookies[COOKIE]
    guarded.submit("/logout")
    guarded.cookies.set(COOKIE, session, domain="desk.example")
    assert guarded.get("/lanes", follow_redirects=False).status_code == 303


def test_the_login_redirects_to_no_other_site(guarded):
    guarded.page("/login")

    assert guarded.submit("/login", token=TOKEN, next="//evil.example").headers["location"] == "/"


def test_the_right_token_is_accepted_during_any_number_of_wrong_ones(guarded):
    guarded.page("/login")
    codes = [guarded.submit("/login", token=f"wrong{n}", next="/").status_code for n in range(25)]

    assert codes == [401] * 25
    assert guarded.submit("/login", token=TOKEN, next="/").status_code == 303


def test_htmx_loads_the_login_as_a_whole_page(guarded):
    answer = guarded.get("/tail", headers={"hx-request": "true"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login"


@pytest.mark.parametrize(("kind", "body", "status"), [
    ("application/json", b"{}", 415),
    ("multipart/form-data; boundary=x", b"", 415),
    ("application/x-www-form-urlencoded", b"a=1&" * 200, 400),
    ("application/x-www-form-urlencoded", b"a=" + b"x" * 70_000, 413),
    ("application/x-www-form-urlencoded", b"\xff\xfe", 400),
])  # fmt: skip
def test_large_forms_and_other_content_types_are_refused(browser, kind, body, status):
    browser.page("/lanes")

    assert browser.post("/lanes/documents/pause", content=body, headers={"content-type": kind}).status_code == status


def test_other_methods_and_long_addresses_are_refused(browser):
    assert browser.request("DELETE", "/").status_code == 405
    assert browser.get("/search?q=" + "x" * 9000).status_code == 414


def test_files_outside_the_folder_cannot_be_named(browser):
    for name in ("..%2fapp.py", "%2e%2e/app.py", "LICENCES.md", ""):
        assert browser.get(f"/static/{name}").status_code == 404


def test_an_unreachable_store_is_answered_with_503_and_no_secret(valkey, tmp_path):
    away = Settings(database_url="postgresql://me:hunter22@127.0.0.1:1/none", redis_url=valkey.url, data_dir=tmp_path)
    browser = Browser(build(ConsoleContext(away, timeout=20), names=frozenset({"localhost"})), base_url=BASE)

    for path in ("/", "/dead", "/search?q=x", "/articles/1", "/stories", "/sources", "/sources/losses"):
        page = browser.page(path, 503)
        assert "hunter22" not in page
        assert "Traceback" not in page
    assert "The store cannot be used" in page
    assert "The database cannot be reached" in browser.page("/", 503)


def test_an_empty_store_says_what_to_do(valkey, tmp_path):
    empty = Settings(database_url=f"sqlite:///{tmp_path}/empty.db", redis_url=valkey.url, data_dir=tmp_path)
    browser = Browser(build(ConsoleContext(empty, timeout=20), names=frozenset({"localhost"})), base_url=BASE)

    assert "copydesk db upgrade" in browser.page("/dead", 503)


def test_an_unreachable_redis_is_reported_and_the_store_is_shown(config, store, articles):
    away = Settings(
        database_url=config.database_url, redis_url="redis://:hunter22@127.0.0.1:1/0", data_dir=config.data_dir
    )
    browser = Browser(build(ConsoleContext(away, timeout=20), names=frozenset({"localhost"})), base_url=BASE)

    for path in ("/", "/tail", "/lanes"):
        assert "hunter22" not in browser.page(path, 503)
    assert "Redis cannot be used" in browser.last
    assert "A calm one" in browser.page(f"/articles/{articles[1]}")
