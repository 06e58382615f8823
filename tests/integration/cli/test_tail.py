"""`tail` shows what its filters select: each filter alone, and all four together."""

from __future__ import annotations

import json

import pytest

from worker.activity.outcome_feed import publish
from worker.cli import app as main

ROWS = [
    # id, source, outcome, key, url, codes
    ("1-0", "one", "stored", "a.md", "https://one.example/a", []),
    ("2-0", "one", "rejected", "b.md", None, ["no_title"]),
    ("3-0", "two", "rejected", "c.md", None, ["no_title", "bad_url"]),
    ("4-0", "two", "updated", "d.md", "https://two.example/d", ["bad_url"]),
]


@pytest.fixture
def tail(redis_client, valkey, monkeypatch, capfd):
    """`tail(*options)`: the ids of ROWS that it shows."""
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    with redis_client.pipeline() as pipe:
        publish(pipe, lane="documents", worker="w", rows=ROWS)
        pipe.execute()

    def run(*options):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run(["tail", "--json", "--seconds", "0", *options])
        shown = capfd.readouterr()
        assert ended.value.code == 0, shown.err
        return [json.loads(line)["id"] for line in shown.out.splitlines()]

    return run


@pytest.mark.parametrize(("options", "expected"), [
    ((), ["1-0", "2-0", "3-0", "4-0"]),
    (("--source", "one"), ["1-0", "2-0"]),
    (("--outcome", "rejected"), ["2-0", "3-0"]),
    (("--outcome", "stored,updated"), ["1-0", "4-0"]),
    (("--code", "bad_url"), ["3-0", "4-0"]),
    (("--url", "two.example"), ["4-0"]),
    (("--url", "b.md"), ["2-0"]),
    (("--source", "two", "--outcome", "rejected", "--code", "no_title", "--url", "c"), ["3-0"]),
    (("--source", "two", "--last", "1"), ["4-0"]),
    (("--last", "0"), []),
])  # fmt: skip
def test_tail_shows_what_each_filter_and_all_together_select(tail, options, expected):
    assert tail(*options) == expected
