"""Each URL of a list is known, retracted, rejected with its cause, or never came."""

import json

import pytest

from tests.integration.store.store_driver import work
from worker.cli import app as main
from worker.queries.sources.missing_urls import states_of
from worker.queue.lease_queue import Claimed
from worker.settings import settings

SITE = "https://paper.example"


def put(number, text, **fields):
    values = {
        b"raw": text.encode(),
        b"source": b"s",
        **{name.encode(): value.encode() for name, value in fields.items()},
    }
    return Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, values, truncated=False)


def document(path, more="", title="title: T"):
    return f"---\n{title}\nwebUrl: {SITE}/{path}\n{more}---\n"


@pytest.fixture
def states(engine):
    related = f"related: [{{title: R, webUrl: '{SITE}/named'}}]\nampWebUrl: {SITE}/known/amp-copy\n"
    work(engine, "documents", [
        put(1, document("known", related)),
        put(2, document("untitled", title="excerpt: no title")),
        put(3, document("broken", title="title: one: two: three")),
        put(4, "---\nexcerpt: x\n---\n", key=f"{SITE}/by-key"),
        put(5, document("both", title="excerpt: no title"), key="both"),
        put(6, document("both"), key="both"),
        put(7, document("gone"), key="gone"),
    ])  # fmt: skip
    work(engine, "documents", [put(8, "", op="retract", key="gone")])

    def states(*urls):
        with engine.connect() as connection:
            return states_of(connection, urls)

    return states


def test_the_state_of_each_url(states):
    paths = ("known", "untitled", "broken", "by-key", "both", "gone", "named", "never")
    found = states(*(f"{SITE}/{path}" for path in paths))
    assert [(one.state, one.code, one.is_named) for one in found] == [
        ("known", None, False),
        ("rejected", "no_title", False),
        ("rejected", "yaml_unquoted_colon", False),
        ("rejected", "no_title", False),
        ("known", None, False),
        ("retracted", None, False),
        ("missing", None, True),
        ("missing", None, False),
    ]
    assert all(one.dead_letter for one in found if one.state == "rejected")


def test_a_url_is_known_in_any_spelling_and_by_any_name(states):
    spellings = (
        "https://www.paper.example/known?utm_source=x#top",
        "HTTPS://PAPER.example/known",
        f"{SITE}/known/amp-copy",
    )
    assert {one.state for one in states(*spellings)} == {"known"}


def test_thousands_of_urls_are_answered_in_their_order(states):
    urls = [f"{SITE}/{n}" for n in range(5000)] + [f"{SITE}/known"]
    found = states(*urls)
    assert [one.url for one in found] == urls
    assert [one.state for one in found if one.state != "missing"] == ["known"]


def test_the_command_reads_a_file_and_says_by_its_exit_code_whether_all_are_known(
    states, engine, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COPYDESK_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    settings.cache_clear()
    list_ = tmp_path / "urls.txt"

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.run(["missing", *arguments])
        return ended.value.code, capsys.readouterr()

    list_.write_text(f"{SITE}/known\n{SITE}/untitled\n{SITE}/never\n")
    code, shown = run(str(list_))
    assert code == 1
    assert "known" not in shown.out
    assert "never came" in shown.out
    assert "no_title: copydesk dead show" in shown.out
    assert "3 URLs: 1 known, 1 rejected, 0 retracted, 1 never came." in shown.err

    code, shown = run(str(list_), "--json")
    assert [json.loads(line)["state"] for line in shown.out.splitlines()] == ["known", "rejected", "missing"]
    list_.write_text(f"{SITE}/known\n")
    assert run(str(list_))[0] == 0
    list_.write_text("nothing")
    assert run(str(list_))[0] == 2
    assert run(str(tmp_path / "no such file"))[0] == 2
