"""Take screenshots of every page of a running console, at two widths and in both themes:

python -m tests.e2e.shots http://127.0.0.1:8600 FOLDER [PATH…]
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.browser import OPTIONS, chromium

PAGES = ("/", "/?span=day", "/tail", "/search?q=the", "/stories", "/stories/1", "/articles/1", "/dead", "/dead/letters", "/dead/letters?code=no_title&mark=1",
         "/dead/1", "/times", "/times?span=week", "/workers", "/lanes/documents/entries", "/lanes", "/sources", "/sources/of?source=submit", "/sources/losses", "/sources/losses?source=submit", "/search?q=harbour", "/actions", "/login", "/nothing")  # fmt: skip
WIDTHS = {"wide": (1280, 900), "phone": (390, 844)}


def shoot(base: str, folder: Path, pages: tuple[str, ...]) -> list[str]:
    """Write the screenshots. Returns the pages that scroll sideways, which should be none."""
    folder.mkdir(parents=True, exist_ok=True)
    sideways = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), **OPTIONS)
        for theme in ("light", "dark"):
            for width, (across, down) in WIDTHS.items():
                context = browser.new_context(viewport={"width": across, "height": down}, color_scheme=theme)
                page = context.new_page()
                for path in pages:
                    page.goto(base + path)
                    name = path.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "overview"
                    page.screenshot(path=folder / f"{name}.{width}.{theme}.png", full_page=True)
                    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                        sideways.append(f"{path} at {across}")
                context.close()
        browser.close()
    return sideways


if __name__ == "__main__":
    for found in shoot(sys.argv[1], Path(sys.argv[2]), tuple(sys.argv[3:]) or PAGES):
        print("scrolls sideways:", found)
