"""Every page of the console, at 1280 and 390 pixels, light and dark: nothing is cut off, overlaps or lies outside of the page.

`COPYDESK_TEST_SHOTS` is a folder that keeps the pictures, for a person to look at.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.documents import document
from tests.e2e.shots import PAGES, shoot
from tests.e2e.test_console import answers
from tests.support.browser import PACKAGES, chromium
from tests.support.servers import VALID, Background, copydesk, free_port, until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(chromium() is None, reason=f"Chromium is not installed (Debian: {PACKAGES})"),
]

LONG_NAME = "crawler-of-the-northern-harbour-and-all-its-newspapers-with-a-name-that-nobody-shortens"
GERMAN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft tagt in Oberammergau"


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """The console of a running system with stories, dead letters of several causes, long names, a paused source and actions."""
    folder, port = tmp_path_factory.mktemp("shots"), free_port()
    (folder / "in").mkdir()
    for path in VALID.glob("*.md"):
        (folder / "in" / path.name).write_bytes(path.read_bytes())
    for number in range(120):
        (folder / "in" / f"{number:03}.md").write_text(document(number, 120), "utf-8")
    for number in range(35):
        broken = "excerpt: no title" if number % 2 else "title: Plans: the harbour wall"
        (folder / "in" / f"broken-{number}.md").write_text(
            f"---\n{broken}\nwebUrl: https://www.harbour.example/{number}\n---\n"
        )
    long = folder / "long-key-of-a-document-that-no-column-of-a-table-is-wide-enough-for-without-a-line-break.md"
    long.write_text(
        f"---\ntitle: {GERMAN}\nwebUrl: https://long.example/{'path-' * 30}\n---\n{'word ' * 300}\n", "utf-8"
    )
    base = f"http://127.0.0.1:{port}"
    with Background("up", cwd=folder, COPYDESK_LINK="true") as up:
        up.says("serves the lanes documents")
        copydesk("submit", "--wait", "in", cwd=folder)
        copydesk("submit", "--wait", "--source", LONG_NAME, long.name, cwd=folder)
        until(lambda: "nothing waits" in copydesk("status", "--wait-drained", cwd=folder).stderr, what="all is linked")
        paused = copydesk(
            "lane", "pause", "documents", "--source", LONG_NAME, "--reason", "it sends test documents", cwd=folder
        )
        assert paused.returncode == 0, paused.stderr
        copydesk("submit", "--source", LONG_NAME, long.name, cwd=folder)
        with Background("console", "--port", port, cwd=folder) as served:
            served.says(f"The console is at {base}")
            until(lambda: answers(base + "/lanes"), what="the console answers")
            until(lambda: answers(f"{base}/sources/of?source=submit"), what="it has counted the source", every=1)
            yield base


def test_every_page_at_both_widths_and_in_both_themes_shows_all_its_text(console, tmp_path):
    folder = Path(os.environ.get("COPYDESK_TEST_SHOTS") or tmp_path)
    faults = shoot(console, folder)
    assert faults == [], "\n".join(faults)
    pictures = list(folder.glob("*.png"))
    assert len(pictures) >= 4 * len(PAGES)
    assert [path.name for path in pictures if path.stat().st_size < 5000] == [], "empty pictures"
