"""A pause of a source that is not known is done, with a hint that the name may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from tests.support.servers import copydesk
from worker.queue.pauses.source_pauses import paused_sources
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.tables import receipts


@pytest.mark.parametrize("format_", [[], ["--json"]], ids=["text", "JSON"])
def test_a_pause_of_an_unknown_source_has_a_hint(valkey, redis_client, migrated_folder, format_):
    settings = {"COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATA_DIR": str(migrated_folder)}
    config, now = Settings(redis_url=valkey.url, data_dir=migrated_folder), datetime.now(UTC)
    engine = make_engine(config)
    with engine.begin() as connection:
        connection.execute(insert(receipts).values(
            lane="documents", id="1-0", outcome="stored", op="put", source="crawler", problems=[], changed=[], received_at=now,
            settled_at=now, worker="w", attempts=1, timings={},
        ))  # fmt: skip
    engine.dispose()
    hints = {}
    for source in ("crawler", "nosuch"):
        run = copydesk("lane", "pause", "documents", "--source", source, *format_, cwd=migrated_folder, **settings)
        assert run.returncode == 0, run.stderr
        hints[source] = "has an outcome yet: check the name" in run.stderr
        assert "outcome yet" not in run.stdout
    assert hints == {"crawler": False, "nosuch": True}
    assert paused_sources(redis_client, "documents").keys() == {"crawler", "nosuch"}
