"""`copydesk explain` by the id that the crawler got, after a repair has added its document to the lane again."""

from __future__ import annotations

import json
import shlex
import time

import pytest

from worker.cli import app as main


@pytest.fixture
def run(valkey, tmp_path, monkeypatch, capfd):
    """Run a command in this process; returns what it printed."""
    monkeypatch.setenv("COPYDESK_REDIS_URL", valkey.url)
    monkeypatch.setenv("COPYDESK_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")

    def run_line(line):
        with pytest.raises(SystemExit) as ended:
            main.run(shlex.split(line))
        shown = capfd.readouterr()
        assert ended.value.code == 0, shown.err
        return shown.out

    return run_line


def test_a_document_is_found_by_the_id_that_it_had_before_a_repair(run, redis_client):
    run("db upgrade")
    known = redis_client.xadd("documents", {"raw": "x"}, id=f"{(int(time.time()) + 10 * 86_400) * 1000}-0").decode()
    run("lane repair documents --yes")
    ((now, _),) = redis_client.xrange("documents")
    found = json.loads(run(f"explain {known} --json"))
    assert (found["added_again_as"], found["pending"][0]["id"]) == ([now.decode()], now.decode())
    assert f"added again as {now.decode()}" in run(f"explain {known}")
