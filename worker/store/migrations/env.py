"""Alembic's environment: the connection comes from `worker.store.migration`."""

from alembic import context

from worker.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.articles.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
