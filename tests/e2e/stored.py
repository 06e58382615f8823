"""Read the result of a run from the store, in a form that can be compared with another run."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, select

from tests.integration.store.snapshot import snapshot
from worker.server_urls import normal_database_url
from worker.store.tables import dead_letters


def stored(url: str) -> dict[str, Any]:
    """Return the store's rows without ids and revisions, because those depend on the time of submission."""
    engine = create_engine(normal_database_url(url))
    with engine.connect() as connection:
        found = snapshot(connection)
        dead = connection.execute(select(dead_letters.c.source, dead_letters.c.key, dead_letters.c.code)).all()
    engine.dispose()
    for article in found["articles"].values():
        del article["revision"]
    found["documents"] = {identity: values[1:] for identity, values in found["documents"].items()}
    found["dead letters"] = sorted(map(tuple, dead))
    return found
