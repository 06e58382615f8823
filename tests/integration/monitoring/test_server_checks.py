"""The configurations that a worker refuses, with real servers that are configured so."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.support.servers import Valkey, copydesk
from worker.monitoring.servers import server_checks
from worker.monitoring.servers.server_checks import Findings, ServerUnfit, check_redis, check_store, enforce
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade


@pytest.fixture
def set_to(redis_client):
    """`set_to(option, value)` on the shared Valkey, undone afterwards."""
    before = {}

    def configure(name, value):
        before.setdefault(name, redis_client.config_get(name)[name])
        redis_client.config_set(name, value)

    yield configure
    for name, value in before.items():
        redis_client.config_set(name, value)


def findings(client):
    found = Findings()
    check_redis(client, found)
    return found


def test_the_embedded_settings_pass(redis_client):
    assert findings(redis_client) == Findings()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_eviction_is_refused_with_what_to_set(redis_client, set_to, policy):
    set_to("maxmemory-policy", policy)
    (refused,) = findings(redis_client).refusals
    assert policy in refused
    assert "set maxmemory-policy noeviction" in refused


def test_missing_persistence_is_a_warning_or_in_strict_mode_refused(redis_client, set_to, migrated_folder):
    set_to("appendonly", "no")
    found = findings(redis_client)
    assert found.refusals == []
    assert "keeps nothing on disk" in found.warned[0]
    set_to("save", "3600 1")
    assert "snapshots only" in findings(redis_client).warned[0]
    engine = make_engine(Settings(data_dir=migrated_folder))
    assert len(enforce(redis_client, engine)) == 1
    with pytest.raises(ServerUnfit, match="appendonly yes"):
        enforce(redis_client, engine, strict=True)


def test_a_server_without_config_can_be_checked(valkey, redis_client, set_to):
    redis_client.execute_command("ACL SETUSER managed on >pw ~* +@all -config")
    set_to("maxmemory-policy", "allkeys-lfu")
    with valkey.client(username="managed", password="pw") as client:
        assert "allkeys-lfu" in findings(client).refusals[0]
    redis_client.execute_command("ACL SETUSER managed -info")
    with valkey.client(username="managed", password="pw") as client:
        assert findings(client).refusals == []
        assert "INFO" in findings(client).warned[0]
    redis_client.execute_command("ACL DELUSER managed")


def test_a_cluster_is_refused(tmp_path):
    server = Valkey(extra=["--cluster-enabled", "yes"])
    try:
        with server.start().client() as client:
            (refused,) = findings(client).refusals
    finally:
        server.stop()
    assert "cluster" in refused


def test_an_old_server_is_refused(redis_client, migrated_postgres_url, monkeypatch):
    monkeypatch.setattr(server_checks, "OLDEST_REDIS", (99, 0))
    monkeypatch.setattr(server_checks, "OLDEST_POSTGRESQL", (99, 0))
    assert "too old" in findings(redis_client).refusals[0]
    found = Findings()
    check_store(make_engine(Settings(database_url=migrated_postgres_url)), found)
    assert "too old" in found.refusals[0]


def test_a_missing_or_newer_schema_is_refused(tmp_path):
    config = Settings(data_dir=tmp_path)
    engine = make_engine(config)
    found = Findings()
    check_store(engine, found)
    assert "run copydesk db upgrade" in found.refusals[0]
    upgrade(config)
    found = Findings()
    check_store(engine, found)
    assert found == Findings()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    check_store(engine, found)
    assert "later version" in found.refusals[0]


def test_the_commands_refuse_with_the_message_and_exit_code_4(valkey, redis_client, set_to, tmp_path):
    set_to("maxmemory-policy", "allkeys-lru")
    settings = {"COPYDESK_REDIS_URL": valkey.url}
    for arguments in (("worker",), ("up",), ("ingest", tmp_path)):
        (tmp_path / "a.md").write_text("x")
        run = copydesk(*arguments, cwd=tmp_path, **settings)
        assert run.returncode == 4, run.stderr
        assert "set maxmemory-policy noeviction" in run.stderr
        assert "Traceback" not in run.stderr
