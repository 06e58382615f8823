"""Which documents `retract` retracts, and to which lane it sends the retraction."""

from __future__ import annotations

import pytest

from tests.integration.store.store_driver import work
from worker.cli import app as main
from worker.queue.lease_queue import Claimed
from worker.settings import settings
from worker.store.engine import make_engine

URL = "https://www.one.example/story"


@pytest.fixture
def retract(redis_client, valkey, migrated_folder, monkeypatch, capsys):
    """`retract(…)`: exit code and output, on a store where `agency` and 60 others describe the article of one URL."""
    for name, value in (
        ("REDIS_URL", valkey.url),
        ("DATA_DIR", migrated_folder),
        ("LANES", "documents=4,feed=1@agency"),
    ):
        monkeypatch.setenv(f"COPYDESK_{name}", str(value))
    engine = make_engine(settings())
    raw = f"---\ntitle: One\nwebUrl: {URL}\n---\n".encode()
    sources = ["agency", *(f"s{n}" for n in range(60))]
    entries = [
        Claimed(f"{1_700_000_000_000 + n}-0", 0, 100, {b"raw": raw, b"source": source.encode(), b"key": f"{n}.md".encode()}, truncated=False)
        for n, source in enumerate(sources)
    ]  # fmt: skip
    work(engine, "documents", entries)
    engine.dispose()

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main.run(["retract", *arguments])
        shown = capsys.readouterr()
        return ended.value.code, shown.out + shown.err

    return run


def test_a_lane_with_a_fixed_source_retracts_for_no_other_source(retract, redis_client):
    code, message = retract("1.md", "--lane", "feed", "--yes")
    assert code == 2
    assert "accepts only the source 'agency'" in message
    assert retract("0.md", "--lane", "feed", "--yes")[0] == 0
    assert redis_client.xlen("feed") == 1
    assert retract("1.md", "--yes")[0] == 0
    assert redis_client.xlen("documents") == 1


def test_an_unknown_lane_is_refused(retract):
    code, message = retract("1.md", "--lane", "nowhere")
    assert code == 2
    assert "no lane" in message


def test_nothing_is_retracted_if_one_of_the_documents_cannot_be(retract, redis_client):
    code, message = retract(URL, "--lane", "feed", "--yes")
    assert (code, "cannot retract" in message) == (2, True)
    assert redis_client.xlen("feed") == 0


def test_all_documents_of_a_url_are_retracted_not_only_fifty(retract, redis_client):
    code, _ = retract(URL, "--yes")
    assert code == 0
    assert redis_client.xlen("documents") + redis_client.xlen("feed") == 61


def test_a_receipt_id_is_not_taken_for_a_key(retract):
    assert retract("1700000000001-0")[0] == 1
