"""On which databases a test runs by default."""

from __future__ import annotations

import pytest

SQLITE_BY_DEFAULT = pytest.mark.parametrize(
    "migrated_store_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
"""For decisions in Python: other tests of the file run the same statements on both databases."""
