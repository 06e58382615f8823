"""`copydesk find` shows what the console's search finds, and says when it did not search everything."""

from __future__ import annotations

import json

import pytest

from tests.integration.store.store_driver import work
from worker.cli import app as main
from worker.queries import search as search_module
from worker.queue.lease_queue import Claimed
from worker.settings import settings
from worker.store.engine import make_engine

URL = "https://one.example/story"
FIRST = 1_700_000_000_000


@pytest.fixture
def find(valkey, redis_client, migrated_folder, monkeypatch, capsys):
    """`find(…)`: exit code, stdout and stderr of the command, on a store with one article and one dead letter."""
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    monkeypatch.setenv("COPYDESK_DATA_DIR", str(migrated_folder))
    engine = make_engine(settings())
    texts = [
        f"---\ntitle: 港口 harbour ferry\nexcerpt: It sails\nwebUrl: {URL}\nsecured: hush;hush\n---\n",
        "---\ntitle: a: b\n---\n",
    ]
    work(engine, "documents", [
        Claimed(f"{FIRST + n}-0", 0, 100, {b"raw": text.encode(), b"source": b"s", b"key": f"{n}.md".encode()}, truncated=False)
        for n, text in enumerate(texts)
    ])  # fmt: skip
    engine.dispose()

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.run(["find", *arguments])
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return run


@pytest.mark.parametrize("words", [["ferr", "sails"], ["港口"], [URL], ["0.md"], [f"{FIRST}-0"]])
def test_an_article_is_found_by_words_url_key_and_receipt_id(find, words):
    code, out, _ = find(*words)
    assert code == 0
    assert "港口 harbour ferry" in out
    assert URL in out


def test_a_dead_letter_is_found_by_its_key(find):
    code, out, _ = find("1.md")
    assert (code, "dead letter 1: yaml_unquoted_colon, open, from s" in out) == (0, True)


def test_nothing_found_is_exit_code_1(find):
    assert find("submarine") == (1, "", "Nothing was found by words.\n")


def test_json_is_one_object_without_secured_values(find):
    _, out, _ = find("--json", f"{FIRST}-0")
    found = json.loads(out)
    assert [one["title"] for one in found["articles"]] == ["港口 harbour ferry"]
    assert found["receipts"][0]["outcome"] == "stored"
    assert "hush" not in out


def test_a_search_that_left_out_articles_says_so(find, monkeypatch):
    monkeypatch.setattr(search_module, "NEWEST", 0)
    code, _, err = find("ferry")
    assert code == 1
    assert "copydesk db index" in err
