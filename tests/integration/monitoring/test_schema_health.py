"""Health names an older schema: it keeps workers from starting, and without one nothing else says so."""

from sqlalchemy import text

from worker.monitoring.health import check
from worker.settings import Settings
from worker.store.migration import head


def test_without_workers_an_older_schema_is_named_with_the_command_to_type(engine, redis_client):
    assert not any("schema" in sentence for sentence in check(Settings(), redis_client, engine).wrong)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0010'"))
    (sentence,) = (one for one in check(Settings(), redis_client, engine).wrong if "schema" in one)
    assert sentence.startswith(f"the store's schema is 0010, this code needs {head()}")
    assert "copydesk db upgrade" in sentence
