"""Store a collection of real documents through the pipeline, without a queue."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from worker.documents.limits import Limits
from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete
from worker.pipeline import Batch, process
from worker.producer.input_files import read_paths
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade

_BATCH = 100


@contextlib.contextmanager
def stored(folder: Path, rules: AllRules) -> Iterator[tuple[Engine, float]]:
    """Return an engine on a temporary SQLite store with the documents of `folder`, and the CPU seconds of storing them."""
    with tempfile.TemporaryDirectory() as data:
        config = Settings(database_url=f"sqlite:///{data}/store.db", data_dir=Path(data))
        upgrade(config)
        engine = make_engine(config)
        entries = []
        for number, one in enumerate(read_paths([str(folder)], source=folder.name)):
            fields = {b"raw": one.raw or b"", b"source": folder.name.encode(), b"key": (one.key or "").encode()}
            entries.append(Claimed(f"{1_700_000_000_000 + number}-0", 0, 0, fields, truncated=False))
        began = time.process_time()
        for start in range(0, len(entries), _BATCH):
            batch = Batch("documents", None, "benchmark", 3, Limits(), rules=rules)
            process(engine, batch, entries[start : start + _BATCH], end_attempt=lambda: None)
        complete(engine, rules, seconds=600)
        yield engine, time.process_time() - began
        engine.dispose()
