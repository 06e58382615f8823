"""Alembic's migrations; `worker.store.migration` runs them."""
