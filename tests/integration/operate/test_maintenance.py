"""Raw bytes: those that something needs stay, the others go after a while."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from worker.document.limits import Limits
from worker.intake.stream import Claimed
from worker.operate.maintenance import expire_raw
from worker.pipeline import Batch, process
from worker.store.tables import raw_documents


def put(engine, number, raw):
    entry = Claimed(f"{1_700_000_000_000 + number}-0", 0, len(raw), {b"raw": raw, b"key": b"k"}, truncated=False)
    process(engine, Batch("documents", None, "test", 3, Limits()), [entry], innocent=lambda: None)


def test_only_old_bytes_that_nothing_needs_expire(engine):
    old, live, broken = (f"---\ntitle: {title}\n---\n".encode() for title in ("old", "live", "DM: broken"))
    put(engine, 1, old)
    put(engine, 2, live)
    put(engine, 3, broken)
    recent = expire_raw(engine, days=1)
    with engine.begin() as connection:
        connection.execute(update(raw_documents).values(last_seen_at=datetime.now(UTC) - timedelta(days=2)))

    removed = expire_raw(engine, days=1)

    with engine.connect() as connection:
        kept = set(connection.scalars(select(raw_documents.c.bytes)))
    assert (recent, removed, kept) == (0, 1, {live, broken})
