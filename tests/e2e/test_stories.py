"""Stories as a new user and a reader see them: after one `ingest`, in `stories`, `explain`, SQL and the change feed."""

import json
import sqlite3

import pytest

from tests.support.servers import copydesk

_DOCUMENTS = {
    "a.md": ("Harbour ferry drops face scans after protest", "harbour-courier.example", "Ferries", 61,
             "The ferry company takes down the cameras that scanned faces at its gates after a week of protest."),
    "b.md": ("After protest, harbour ferry drops its face scans", "valley-gazette.example", "Ferries", 40,
             "A week of protest: the ferry company takes down cameras that scanned the faces at its gates."),
    "c.md": ("Late frost destroys apple blossom in the valley", "valley-gazette.example", "Farms", 70,
             "Growers fear for the harvest since the night to Sunday."),
}  # fmt: skip


def _write(folder):
    folder.mkdir()
    for name, (title, site, topic, quality, excerpt) in _DOCUMENTS.items():
        lines = ["---", f'title: "{title}"', f'excerpt: "{excerpt}"', f"webUrl: https://{site}/{name}", f"quality: {quality}",
                 f"topics: [{topic}]", "publishedDateTime: 2020-05-29T22:57:00Z", "---", ""]  # fmt: skip
        (folder / name).write_text("\n".join(lines), "utf-8")
    return folder


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_story_of_one_ingest_is_shown_everywhere(tmp_path):
    folder = _write(tmp_path / "in")
    run = copydesk("ingest", folder, cwd=tmp_path, COPYDESK_LINK="true")
    assert run.returncode == 0, run.stderr
    assert "copydesk stories (1 of them)" in run.stderr

    shown = copydesk("stories", "--json", cwd=tmp_path, COPYDESK_LINK="true")
    assert shown.returncode == 0, shown.stderr
    [story] = [json.loads(line) for line in shown.stdout.splitlines()]
    assert story["size"] == len(story["articles"]) == 2
    assert story["lead"]["url"] == "https://harbour-courier.example/a.md"
    assert story["heat"] == 61 + 20
    table = copydesk(
        "stories", "--since", "2020-05-29", "--topic", "ferries", cwd=tmp_path, COPYDESK_LINK="true"
    ).stdout
    assert "Harbour ferry drops" in table
    assert copydesk("stories", "--json", "--topic", "Farms", cwd=tmp_path, COPYDESK_LINK="true").stdout == ""

    explained = copydesk("explain", "https://valley-gazette.example/b.md", cwd=tmp_path, COPYDESK_LINK="true").stdout
    assert f"in story {story['id']} of 2 articles, led by another, heat 81" in explained
    assert "face scans" in explained.partition("similar")[2]
    with sqlite3.connect(tmp_path / ".copydesk" / "copydesk.db") as store:
        assert store.execute("SELECT count(*) FROM articles WHERE link_state = 'pending'").fetchone() == (0,)
        query = "SELECT a.title FROM stories s JOIN articles a ON a.story_id = s.id ORDER BY a.quality"
        assert [title for (title,) in store.execute(query)] == [_DOCUMENTS["b.md"][0], _DOCUMENTS["a.md"][0]]
