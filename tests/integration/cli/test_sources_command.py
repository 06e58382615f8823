"""`copydesk sources` stays readable with thousands of sources, and says how to see all of them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from tests.support.servers import copydesk
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import dead_letters, receipts, source_alarms, source_rhythms

SOURCES, ALARMS = 500, 100
LOUD = 377
"""The source that sends most."""


@pytest.fixture
def folder(migrated_home):
    config = Settings(data_dir=migrated_home / ".copydesk")
    engine, now = make_engine(config), datetime.now(UTC) - timedelta(minutes=1)
    common = {"lane": "documents", "op": "put", "problems": []}
    rows = [(n, number) for n in range(SOURCES) for number in range(9 if n == LOUD else 1)]
    with engine.begin() as connection:
        connection.execute(insert(receipts), [
            {**common, "id": f"{n}-{number}", "source": f"source-{n:04}", "outcome": "rejected" if n == LOUD else "stored", "changed": [],
             "received_at": now, "settled_at": now, "worker": "w", "attempts": 1, "timings": {}} for n, number in rows
        ])  # fmt: skip
        connection.execute(insert(dead_letters).values(
            **common, receipt_id=f"{LOUD}-0", source=f"source-{LOUD:04}", revision="r", code="no_title", status="open", edits=0, created_at=now,
        ))  # fmt: skip
        connection.execute(insert(source_rhythms), [
            {"source": f"source-{n:04}", "site": "", "lane": "documents", "last_at": now - timedelta(seconds=n), "last_hour": now,
             "gaps": 50, "usual_gap": 1.0, "long_gap": 2.0, "longest_gap": 3.0, "weekly": [], "recent_documents": 1.0,
             "recent_rejected": 0.0} for n in range(SOURCES)
        ])  # fmt: skip
        connection.execute(insert(source_alarms), [
            {"source": f"source-{SOURCES - 1 - n:04}", "site": "", "kind": "silent", "since": now, "raised_at": now, "facts": {}}
            for n in range(ALARMS)
        ])  # fmt: skip
    engine.dispose()
    return migrated_home


def test_alarms_and_the_largest_come_first_and_the_others_are_counted(folder):
    run = copydesk("sources", cwd=folder)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) < 70
    assert sum(line.startswith("! Source") for line in lines) == 10
    assert f"! … and {ALARMS - 10} more alarms: copydesk sources --all" in lines
    assert lines.count(f"… and {SOURCES - 20} more: copydesk sources --all") == 2
    heard, counted = (part.splitlines() for part in re.split(r"SOURCE .*\n", run.stdout)[1:])
    assert all("silent" in line for line in heard[:20]), "they were heard longest ago"
    assert counted[0].startswith(f"source-{LOUD:04}"), "the most rejected"


def test_all_of_them_are_shown_if_asked(folder):
    shown = copydesk("sources", "--all", cwd=folder).stdout
    assert "more" not in shown
    assert sum(line.startswith("! Source") for line in shown.splitlines()) == ALARMS
    assert len(set(re.findall(r"^source-[0-9]{4}", shown, re.MULTILINE))) == SOURCES
    lines = [json.loads(line) for line in copydesk("sources", "--json", cwd=folder).stdout.splitlines()]
    assert len(lines) == SOURCES
    assert sum(bool(line["alarms"]) for line in lines) == ALARMS
