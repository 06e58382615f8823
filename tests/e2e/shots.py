"""Take screenshots of every page of a running console, at two widths and in both themes, and look for visible faults:

python -m tests.e2e.shots http://127.0.0.1:8600 FOLDER [PATH…]
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.browser import OPTIONS, chromium

PAGES = ("/", "/?span=day", "/?span=week", "/tail", "/tail?after=50", "/search?q=the", "/search?q=harbour", "/search?q=nothing+like+it", "/stories", "/stories/1", "/articles/1",
         "/dead", "/dead/letters", "/dead/letters?code=no_title&mark=1", "/dead/1", "/times", "/times?span=week", "/workers",
         "/lanes", "/lanes/documents/entries", "/lanes/documents/entries?holder=host%3A71", "/sources", "/sources?name=nobody", "/sources/of?source=submit", "/sources/losses", "/sources/losses?source=submit",
         "/actions", "/login", "/nothing")  # fmt: skip
WIDTHS = {"wide": (1280, 900), "phone": (390, 844)}
_HIGHEST = {"wide": 6500, "phone": 11000}
"""A page of the sample's size that is higher than this many pixels wastes space."""

_FAULTS = """
([across, down]) => {
  const faults = [], main = document.querySelector("main");
  const name = e => e.tagName.toLowerCase() + (e.className && e.className.baseVal === undefined ? "." + e.className : "") + " “" + e.textContent.trim().slice(0, 40) + "”";
  const scrolls = e => e.closest(".scroll, textarea, .source, .body, .gutter, h1.long") !== null;
  const hidden = e => e.closest(".unseen, .skip, dialog:not([open]), details:not([open]) > :not(summary), thead") !== null || !e.checkVisibility();
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) faults.push("the page scrolls sideways");
  const texts = [];
  for (const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walker.nextNode();) {
    const node = walker.currentNode, e = node.parentElement;
    if (!node.textContent.trim() || hidden(e) || scrolls(e) || e.closest("script, style, svg") !== null) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 2 || box.height < 2) continue;
      if (box.left < 0 || box.right > across + 1) faults.push("outside of the page: " + name(e));
      texts.push([box, e]);
    }
    const style = getComputedStyle(e);
    if (style.overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1) faults.push("clipped: " + name(e));
    if (parseFloat(style.fontSize) < 11) faults.push("too small: " + name(e));
  }
  texts.sort((a, b) => a[0].top - b[0].top);
  for (let i = 0; i < texts.length; i++)
    for (let j = i + 1; j < texts.length && texts[j][0].top < texts[i][0].bottom - 3; j++) {
      const [a, x] = texts[i], [b, y] = texts[j];
      const across_ = Math.min(a.right, b.right) - Math.max(a.left, b.left), down_ = Math.min(a.bottom, b.bottom) - b.top;
      if (x !== y && !x.contains(y) && !y.contains(x) && across_ > 2 && down_ > 4) faults.push("one above the other: " + name(x) + " and " + name(y));
    }
  for (const e of main.querySelectorAll("button, input:not([type=hidden]), select"))
    if (!hidden(e) && !scrolls(e) && e.getBoundingClientRect().right > across + 1) faults.push("outside of the page: " + name(e));
  for (const e of document.querySelectorAll("svg text")) {
    const box = e.getBoundingClientRect(), plot = e.closest("svg").getBoundingClientRect();
    if (box.right > plot.right + 1 || box.left < plot.left - 1) faults.push("a tick outside of its plot: " + name(e));
    if (box.height && box.height < 8) faults.push("a tick too small to be read: " + name(e));
  }
  if (!document.querySelector("h1")) faults.push("no heading");
  const first = main.querySelector("tbody tr, .alarms li, .numbers dd, figure, form, .headlines > li, dl.facts > div, p:not(.kicker, .lead, .hold), .source");
  if (first && first.getBoundingClientRect().top > down * .8) faults.push("nothing but headings on the first screen");
  return faults;
}
"""


def faults_of(page: Page, width: str) -> list[str]:
    """Return what is visibly wrong with a loaded page: text that is cut off, lies above other text, or is outside."""
    faults: list[str] = page.evaluate(_FAULTS, list(WIDTHS[width]))
    height: int = page.evaluate("document.documentElement.scrollHeight")
    return [*faults, *([f"{height} pixels high"] if height > _HIGHEST[width] else [])]


def shoot(base: str, folder: Path, pages: tuple[str, ...] = PAGES) -> list[str]:
    """Write the screenshots. Returns the faults of each page, which should have none."""
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), **OPTIONS)
        for theme in ("light", "dark"):
            for width, (across, down) in WIDTHS.items():
                context = browser.new_context(viewport={"width": across, "height": down}, color_scheme=theme)
                page = context.new_page()
                for path in pages:
                    page.goto(base + path)
                    name = path.strip("/").translate(str.maketrans("/?=&+", "-----")) or "overview"
                    page.screenshot(path=folder / f"{name}.{width}.{theme}.png", full_page=True)
                    faults += [f"{path}, {width}, {theme}: {fault}" for fault in faults_of(page, width)]
                context.close()
        browser.close()
    return faults


if __name__ == "__main__":
    for found in shoot(sys.argv[1], Path(sys.argv[2]), tuple(sys.argv[3:]) or PAGES):
        print(found)
