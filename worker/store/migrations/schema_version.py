"""The version of the store's schema: what this code needs, and what a database has.

It reads no more than the names of the migrations and one row. Alembic, which `store/migration.py` loads, takes 11 MB and a
third of a second, and every worker, `status` and `health` ask for the version.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

_VERSIONS = Path(__file__).parent / "versions"
"""Each migration is a file `vREVISION_words.py`; a revision sorts after the one that it follows."""


def head() -> str:
    """Return the schema revision that this code needs."""
    return max(_revisions())


def current(connection: Connection) -> str | None:
    """Return the schema revision of the store; None: it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def is_known(revision: str) -> bool:
    """Return whether this code can upgrade from `revision`; False: a later version made it."""
    return revision in _revisions()


def _revisions() -> set[str]:
    return {path.name[1:].partition("_")[0] for path in _VERSIONS.glob("v*.py")}
