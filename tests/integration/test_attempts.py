"""A store that hangs is no document's fault: no attempt is counted while the store is used."""

import psycopg
import pytest
from sqlalchemy import event

from worker.documents.limits import Limits
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine

RAW = b"---\ntitle: One\nwebUrl: https://innocent.example/one\n---\n"
RECOGNISED_FIRST = ["innocent", "store", "suspect", "innocent", "store"]


@pytest.mark.parametrize(("documents", "expected"), [(1, ["innocent", "store"]), (5, RECOGNISED_FIRST)])
def test_the_attempt_is_ended_before_the_store_is_used(migrated_store_url, tmp_path, monkeypatch, documents, expected):
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    with engine.connect():
        happened = []
    event.listen(engine, "before_cursor_execute", lambda *_: happened.append("store"))
    execute = psycopg.Cursor.execute  # PostgreSQL's statements go through psycopg's pipeline

    def note(*arguments, **options):
        happened.append("store")
        return execute(*arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    entries = [
        Claimed(f"1-{n}", 0, len(RAW), {b"raw": RAW, b"source": b"s", b"key": b"%d" % n}, truncated=False)
        for n in range(documents)
    ]
    process(engine, Batch("documents", None, "w", 3, Limits()), entries, end_attempt=lambda: happened.append("innocent"),
            begin_attempt=lambda: happened.append("suspect"))  # fmt: skip
    engine.dispose()
    phases = [what for n, what in enumerate(happened) if n == 0 or what != happened[n - 1]]
    assert phases == expected
