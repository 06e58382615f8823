"""If sending an edited text fails for any reason, the editor shows the text again, with a sentence that says what
failed.
"""

import html
import re
import threading

import pytest
from sqlalchemy import create_engine

from tests.integration.console.conftest import BASE, Browser, broken
from tests.integration.console.test_actions import MENDED, at_the_editor, row_of, sent
from tests.integration.store.store_driver import work
from worker.console.access.sessions import COOKIE
from worker.console.app import build
from worker.console.context import ConsoleContext
from worker.dead_letters import bulk_actions, bulk_edit, replay
from worker.settings import Settings
from worker.store import dead_letters

TOKEN = "a-token-of-some-length"
WRITTEN = "\r\n<b>of</b> mine: https://me:hunter22@h.example/ \u202e &amp; \u2603"


@pytest.fixture(scope="module")
def module_store_url(tmp_path_factory, migrated_sqlite):
    """SQLite, because these tests need its write lock."""
    return migrated_sqlite(tmp_path_factory.mktemp("store") / "store.db")


class Lock:
    """Another process that holds the write lock of the store for `seconds`, or until the end of its block, and changes
    something.
    """

    def __init__(self, url, seconds):
        self._held, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(url, seconds))

    def _hold(self, url, seconds):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.exec_driver_sql("UPDATE dead_letters SET edits = edits")
            self._held.set()
            self._ended.wait(seconds)
            connection.exec_driver_sql("COMMIT")
        engine.dispose()

    def __enter__(self):
        self._thread.start()
        self._held.wait(10)

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def text_in(page):
    return html.unescape(re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)[1])


def assert_text_is_shown_again(answer, status, sentence, text):
    assert answer.status_code == status
    assert sentence in html.unescape(answer.text)
    assert text_in(answer.text) == text


def test_a_replay_waits_while_others_write(browser, config, redis_client, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    with Lock(config.database, 0.7):
        assert (
            browser.submit(f"/dead/{dead_letter_id}/replay", text=text.replace(*MENDED), version=version).status_code
            == 303
        )
    assert len(sent(redis_client)) == 1


ACTIONS = {
    "replay": lambda e, c, limits: replay.replay(e, c, dead_letters.Filter(source="locked")),
    "bulk replay": lambda e, c, limits: (
        list(bulk_actions.steps(e, dead_letters.Filter(source="locked"), limits, c))[-1].seen
    ),
    "mend": lambda e, c, limits: bulk_edit.bulk_edit(
        e, c, dead_letters.Filter(source="locked"), bulk_edit.replacing("Plans: ", "Plans "), limits
    )[1],
    "discard": lambda e, c, limits: bulk_actions.discard(e, dead_letters.Filter(source="locked"), "test"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_on_many_wait_while_others_write(console_context, config, redis_client, store, name):
    work(store, "documents", [broken(50 + list(ACTIONS).index(name), source="locked")])
    with Lock(config.database, 0.7):
        assert ACTIONS[name](store, redis_client, console_context.limits)


@pytest.mark.parametrize("path", ["replay", "check"])
def test_the_text_is_kept_without_the_store(browser, dead_letter_id, console_context, path, monkeypatch):
    text, version = at_the_editor(browser, dead_letter_id)
    away = ConsoleContext(
        Settings(database_url="postgresql://me:x@127.0.0.1:1/none", redis_url=console_context.config.redis_url)
    )
    monkeypatch.setattr(console_context, "engine", away.engine)

    answer = browser.submit(f"/dead/{dead_letter_id}/{path}", text=text + WRITTEN, version=version)

    assert_text_is_shown_again(answer, 503, "The store cannot be used", text + WRITTEN)


def test_the_text_is_kept_when_the_store_is_locked_for_too_long(config, redis_client, browser, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    hasty = Settings(database_url=config.database_url, redis_url=config.redis_url, data_dir=config.data_dir,
                     statement_seconds=0.2)  # fmt: skip
    other = Browser(build(ConsoleContext(hasty, timeout=20), names=frozenset({"localhost"})), base_url=BASE)
    other.page("/lanes")
    mended = text.replace(*MENDED)
    with Lock(config.database, 60):
        answer = other.submit(f"/dead/{dead_letter_id}/replay", text=mended, version=version)

    assert_text_is_shown_again(answer, 503, "Others wrote to it for longer than 0.2 seconds", mended)
    other.last = answer.text
    assert other.submit(f"/dead/{dead_letter_id}/replay", text=text_in(answer.text), version=version).status_code == 303


@pytest.mark.parametrize("lost", ["ping", "xadd"])
def test_without_redis_the_text_is_kept_and_can_be_sent_again(
    browser, redis_client, store, console_context, dead_letter_id, lost, monkeypatch
):
    text, version = at_the_editor(browser, dead_letter_id)
    away = ConsoleContext(Settings(database_url=console_context.config.database_url, redis_url="redis://127.0.0.1:1/0"))
    mended = text.replace(*MENDED)
    with monkeypatch.context() as patch:
        patch.setattr(console_context.client, lost, getattr(away.client, lost))
        answer = browser.submit(f"/dead/{dead_letter_id}/replay", text=mended, version=version)

    again = re.search(r'name="version" value="(\w*)"', answer.text)[1]
    if lost == "ping":
        assert_text_is_shown_again(answer, 503, "Redis cannot be used", mended)
    else:  # it was saved as another version, whose placeholders for secrets are others
        assert_text_is_shown_again(answer, 503, "Redis cannot be used", at_the_editor(browser, dead_letter_id)[0])
        assert MENDED[1] in answer.text.replace("&#34;", '"')
    assert "A worker will process it in a moment" not in browser.page(f"/dead/{dead_letter_id}")
    browser.last = answer.text
    assert browser.submit(f"/dead/{dead_letter_id}/replay", text=text_in(answer.text), version=again).status_code == 303
    assert len(sent(redis_client)) == 1
    assert row_of(store, dead_letter_id).edits == 1


def test_the_text_is_kept_after_a_restart_of_the_console(browser, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    browser.cookies.clear()
    browser.cookies.set(COOKIE, "of.before")

    answer = browser.submit(f"/dead/{dead_letter_id}/replay", text=text + WRITTEN, version=version)

    assert_text_is_shown_again(answer, 403, "This form belongs to an older page", text + WRITTEN)
    browser.cookies.clear()
    browser.cookies.set(COOKIE, answer.cookies[COOKIE])
    browser.last = answer.text
    mended = text.replace(*MENDED)
    assert browser.submit(f"/dead/{dead_letter_id}/replay", text=mended, version=version).status_code == 303


def test_the_text_is_kept_behind_a_token_when_the_session_has_ended(
    config, store, redis_client, browser, dead_letter_id
):
    text, version = at_the_editor(browser, dead_letter_id)
    console_context = ConsoleContext(config, token=TOKEN, timeout=20)
    guarded = Browser(build(console_context, names=None), base_url="http://desk.example")
    guarded.page("/login")
    mended = text.replace(*MENDED)

    answer = guarded.submit(f"/dead/{dead_letter_id}/replay", text=mended, version=version)
    assert_text_is_shown_again(answer, 401, "Your session has ended", mended)
    guarded.last = answer.text
    answer = guarded.submit(f"/dead/{dead_letter_id}/replay", text=mended, version=version, token="wrong")
    assert_text_is_shown_again(answer, 401, "That is not a token of this console", mended)
    assert sent(redis_client) == []
    guarded.last = answer.text
    answer = guarded.submit(f"/dead/{dead_letter_id}/replay", text=mended, version=version, token=TOKEN)
    assert answer.status_code == 303
    assert len(sent(redis_client)) == 1
    assert "Log out" in guarded.page("/lanes")
    console_context.close()


def test_no_fragment_replaces_the_editor_when_the_session_has_ended(config, store, dead_letter_id):
    console_context = ConsoleContext(config, token=TOKEN, timeout=20)
    guarded = Browser(build(console_context, names=None), base_url="http://desk.example")
    for answer in (
        guarded.get(f"/dead/{dead_letter_id}", headers={"hx-request": "true"}),
        guarded.post(f"/dead/{dead_letter_id}/check", data={"text": "x"}, headers={"hx-request": "true"}),
    ):
        assert answer.status_code == 401
        assert "hx-redirect" not in answer.headers
        assert "<html" not in answer.text
    console_context.close()


def test_the_text_is_kept_when_somebody_else_has_edited_or_closed_the_dead_letter(browser, dead_letter_id):
    text, version = at_the_editor(browser, dead_letter_id)
    browser.submit(f"/dead/{dead_letter_id}/replay", text=text.replace(*MENDED), version=version)

    answer = browser.submit(f"/dead/{dead_letter_id}/replay", text=text + WRITTEN, version=version)
    assert_text_is_shown_again(answer, 409, "Somebody else has edited it in the meantime", text + WRITTEN)
    browser.submit(f"/dead/{dead_letter_id}/discard", reason="x")
    answer = browser.submit(f"/dead/{dead_letter_id}/replay", text=text + WRITTEN, version=version)
    assert_text_is_shown_again(answer, 409, "It is discarded", text + WRITTEN)
