"""The console in a real browser: a hostile document has no effect, and the keyboard is enough to use every action."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from tests.support.browser import OPTIONS, PACKAGES, chromium
from tests.support.servers import Background, copydesk, free_port, until

HOSTILE = """---
title: "<script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>' \\" onfocus=alert(3) autofocus \u202e\u05e9\u05dc\u05d5\u05dd <svg/onload=alert(4)>"
excerpt: "<iframe srcdoc='<script>parent.alert(5)</script>'></iframe><style>*{display:none}</style>"
webUrl: https://hostile.example/a?"><script>alert(6)</script>
topics: ["{{ 7*7 }}<b hx-get=/lanes hx-trigger=load>x</b>"]
images: [{url: "https://evil.example/pixel.png?<svg onload=alert(7)>", width: 640, height: 360}]
related: [{title: "click", webUrl: "javascript:alert(8)"}, {title: "<base href=https://evil.example>", webUrl: https://hostile.example/b}]
---
<script src=https://evil.example/x.js></script><meta http-equiv=refresh content=0;url=https://evil.example>
"""
BROKEN = """---
title: Plans: <img src=x onerror=alert(9)>
webUrl: https://www.harbour.example/wall
---
</textarea><script>alert(10)</script>
"""
MEND = "title: Plans: <img"


@pytest.fixture(scope="module")
def console(tmp_path_factory, migrated_sqlite):
    """The address of the console of a running system, which has stored one hostile document and rejected another."""
    if chromium() is None:
        pytest.skip(f"Chromium is not installed (Debian: {PACKAGES})")
    folder, port = tmp_path_factory.mktemp("console"), free_port()
    migrated_sqlite(folder / ".copydesk" / "copydesk.db")
    (folder / "hostile.md").write_text(HOSTILE, "utf-8")
    (folder / "broken.md").write_text(BROKEN, "utf-8")
    base = f"http://127.0.0.1:{port}"
    with Background("up", cwd=folder) as up:
        up.says("serves the lanes documents")
        done = copydesk(
            "submit", "--wait", "--source", "<script>alert(11)</script>", "hostile.md", "broken.md", cwd=folder
        )
        assert done.returncode == 1, done.stdout + done.stderr
        with Background("console", "--port", port, cwd=folder) as served:
            served.says(f"The console is at {base}")
            until(lambda: answers(base + "/lanes"), what="the console answers")
            yield base


def answers(url):
    try:
        return urlopen(url, timeout=5).status == 200
    except OSError:
        return False


class Watch:
    """Collects what a page did that no page may do."""

    def __init__(self, page, base):
        self.dialogs, self.foreign, self.complaints = [], [], []
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: None if request.url.startswith(base) else self.foreign.append(request.url))
        page.on(
            "console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def assert_quiet(self):
        assert (self.dialogs, self.foreign, self.complaints) == ([], [], [])


@pytest.fixture(scope="module")
def chrome():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), **OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(console, chrome):
    context = chrome.new_context(viewport={"width": 1280, "height": 900}, base_url=console)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


def test_a_hostile_document_does_nothing_on_any_page(console, page):
    watch = Watch(page, console)
    page.goto("/search?q=hostile.md")
    page.get_by_role("heading", level=3).get_by_role("link").first.click()
    page.wait_for_selector("h1")
    assert "<script>alert(1)</script>" in page.locator("h1").inner_text()
    page.locator("summary").click()
    for path in (
        "/",
        "/tail",
        "/dead",
        "/dead/1",
        "/sources",
        "/search?q=" + "%22%3E%3Cscript%3Ealert(12)%3C/script%3E",
        "/stories",
    ):
        page.goto(path)
    page.goto("/tail")
    page.wait_for_timeout(2500)  # HTMX has replaced the rows once

    assert page.locator("main img, main iframe, main style, main script, main [hx-get='/lanes']").count() == 0
    assert page.locator("a[href^='javascript:' i]").count() == 0
    watch.assert_quiet()


def tab_to(page, wanted, *, most=60):
    """Press Tab until the focused element fulfils `wanted`, a JavaScript condition."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"(e => {wanted})(document.activeElement)"):
            ring = page.evaluate(
                "(e => getComputedStyle(e.closest('.editor') || e).outlineStyle)(document.activeElement)"
            )
            assert ring not in ("none", "hidden"), "the focus cannot be seen"
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


def test_keys_search_choose_tick_open_and_help(console, page):
    watch = Watch(page, console)
    page.goto("/dead/letters")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("input[name=id]:checked").count() == 1
    assert page.locator(".chosen").text_content().strip() == "(1)"
    assert page.locator("input[value=ticked]").is_checked()
    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()
    page.keyboard.press("Escape")
    page.locator("dialog#keys").wait_for(state="hidden")  # the browser closes it after the key
    page.keyboard.press("Enter")
    page.wait_for_url("**/dead/1")
    page.goto("/tail")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "f-source"
    page.keyboard.type("x?j/")
    assert page.locator("#f-source").input_value() == "x?j/"
    watch.assert_quiet()


def test_all_of_a_page_are_ticked_and_none_and_an_id_is_copied_also_without_a_clipboard_of_the_page(console, page):
    watch = Watch(page, console)
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.goto("/dead/letters")
    boxes = page.locator("input[name=id]").count()
    for ticked, label, scope in ((boxes, "none", "ticked"), (0, "all", "all")):
        page.locator("a.all").click()
        assert page.locator("input[name=id]:checked").count() == ticked
        assert page.locator("a.all").text_content() == label
        assert page.locator(f"input[value={scope}]").is_checked()
    page.goto("/dead/1")
    page.get_by_role("button", name="copy").first.click()
    page.get_by_role("button", name="copied").wait_for()
    page.evaluate("document.getElementById('reason').focus()")
    page.keyboard.press("Control+V")
    assert page.locator("#reason").input_value() == "broken.md"
    watch.assert_quiet()


def test_the_keyboard_alone_mends_a_dead_letter(console, page):
    watch = Watch(page, console)
    page.goto("/?hold=1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "e.getAttribute('href') === '/dead' && e.closest('main')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dead")
    tab_to(page, "e.getAttribute('href') === '/dead/1'")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dead/1")
    tab_to(page, "e.id === 'text'")
    page.wait_for_selector("#check >> text=It would be rejected again")
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowDown")
    for _ in range(len("title: Plans")):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")  # the second colon, which makes the YAML invalid
    page.wait_for_selector("#check >> text=It would pass")
    tab_to(page, "e.tagName === 'BUTTON' && e.textContent === 'Replay it'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#state >> text=Replayed, and it passed", timeout=30_000)

    watch.assert_quiet()


def test_live_updates_keep_the_focus(console, page):
    page.goto("/")
    page.locator("#to-lanes").focus()
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        pass
    page.wait_for_timeout(300)

    assert page.evaluate("document.activeElement.id") == "to-lanes"


def test_a_page_of_another_origin_changes_nothing(console, page):
    page.goto("/lanes")  # the session's cookie is there
    other = f"http://127.0.0.1:{free_port()}/"
    form = (f"<form id=f method=post action='{console}/lanes/documents/pause'><input name=reason value=evil>"
            "<input name=csrf value=x></form>")  # fmt: skip
    page.route(other, lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto(other)
    with page.expect_navigation() as answer:
        page.evaluate("document.getElementById('f').submit()")

    assert answer.value.status == 403
    page.goto(console + "/lanes")
    assert page.get_by_text("served", exact=True).count() == 1


def test_no_page_scrolls_sideways_on_a_phone_and_all_are_readable_without_scripts(console, chrome):
    context = chrome.new_context(viewport={"width": 390, "height": 844}, base_url=console, java_script_enabled=False)
    page = context.new_page()
    for path in (
        "/",
        "/tail",
        "/search?q=hostile.md",
        "/articles/1",
        "/stories",
        "/dead",
        "/dead/1",
        "/dead/letters?mark=1",
        "/times",
        "/lanes",
        "/lanes/documents/entries",
        "/workers",
        "/sources",
        "/sources/losses",
    ):
        assert page.goto(path).status == 200
        assert page.locator("h1").count() == 1
        # Measured from outside, because no script runs in the page.
        box = page.locator("main").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390, path
    context.close()
