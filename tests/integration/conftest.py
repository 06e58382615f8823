"""Fixtures that integration tests share besides the servers."""

import pytest

from worker.settings import Settings
from worker.store.engine import make_engine


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    """An engine on a fresh store of each kind, migrated."""
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    yield engine
    engine.dispose()
