"""The names of the migrations say what Alembic says."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from worker.store import migration
from worker.store.migrations import schema_version


def test_the_names_of_the_files_tell_the_revisions_of_alembic():
    scripts = ScriptDirectory.from_config(migration._config())
    from_newest = [script.revision for script in scripts.walk_revisions()]
    assert scripts.get_heads() == [schema_version.head()]
    assert from_newest == sorted(from_newest, reverse=True)
    assert all(schema_version.is_known(revision) for revision in from_newest)
    assert not any(schema_version.is_known(revision) for revision in ("", "0", "9999", "0001x"))
