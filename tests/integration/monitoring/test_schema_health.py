"""Health names another schema: it keeps workers from starting, and one that runs may write what the schema no longer has."""

from sqlalchemy import text

from worker.activity.heartbeats import WorkerState, send
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


def test_health_of_an_older_version_names_a_later_schema_while_its_worker_runs(engine, redis_client):
    send(redis_client, WorkerState("host:1", "host", 1, "0", 0.0, ("documents",), 1, state="consuming"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    health = check(Settings(), redis_client, engine)
    assert health.workers
    assert any("it is of a later version" in sentence for sentence in health.wrong)
