"""A source with too many rejected documents is named at once by status, health and the metrics, among ten good ones."""

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from worker.activity.minute_counters import Counts, MinuteCounters
from worker.monitoring.alarms import alarms
from worker.monitoring.exporter import CopydeskCollector
from worker.monitoring.health import check
from worker.monitoring.snapshot import MinuteCache, read_queue, read_store
from worker.monitoring.status import Snapshot
from worker.settings import Settings
from worker.store.migration import head

HOSTILE = "bad'; rm -rf ~ \x1b[31m"


@pytest.fixture(params=["bad", HOSTILE])
def bad(request, redis_client):
    """Ten sources with 1 % and one with 50 % rejected, in the current minute."""
    counts = Counts("documents")
    for number in range(10):
        counts.outcomes[f"good{number}", "stored"] = 198
        counts.outcomes[f"good{number}", "rejected"] = 2
    counts.outcomes[request.param, "stored"] = counts.outcomes[request.param, "rejected"] = 10
    MinuteCounters(redis_client).add(counts)
    return request.param


def named(sentences):
    return [sentence for sentence in sentences if "documents were rejected" in sentence]


def test_health_names_it_as_a_remark(bad, redis_client, engine):
    health = check(Settings(), redis_client, engine)
    (sentence,) = named(health.remarks)
    assert sentence.startswith(f"Source {bad}: 10 of its last 20 documents were rejected")
    assert named([*health.wrong, *health.unreachable]) == []


def test_the_check_of_a_container_does_not_mention_sources(bad, redis_client, engine):
    assert named(check(Settings(), redis_client, engine, host="here").remarks) == []


def test_status_names_it_with_the_command_to_type(bad, redis_client, engine):
    queue = read_queue(Settings(), redis_client, MinuteCache(redis_client))
    snapshot = Snapshot(queue, None, read_store(engine, is_linking=False))
    (sentence,) = named(alarm.sentence for alarm in alarms(snapshot))
    assert "copydesk sources --source " in sentence
    assert "--source bad;" not in sentence, "a name is one argument of the shell"
    (alarm,) = snapshot.to_json()["source_alarms"]
    assert (alarm["kind"], alarm["source"], alarm["documents"], alarm["rejected"]) == ("rejected", bad, 20, 10)


def test_the_metrics_name_it(bad, redis_client, engine):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CopydeskCollector(Settings(), redis_client, engine))
    labels = {"kind": "rejected", "source": bad, "site": ""}
    assert registry.get_sample_value("copydesk_source_alarm", labels) == 1
    assert registry.get_sample_value("copydesk_source_alarm", {**labels, "source": "good1"}) is None


def test_a_setting_of_one_leaves_it_to_what_is_usual(bad, redis_client, engine):
    assert named(check(Settings(rejected_share=1), redis_client, engine).remarks) == []


def test_a_store_of_the_schema_before_is_reported_as_such(redis_client, engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE source_alarms"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0010'"))
    store = read_store(engine, is_linking=False)
    assert store.database.ok
    assert f"The schema is 0010, {head()} is needed: copydesk db upgrade" in [
        alarm.sentence for alarm in alarms(Snapshot(None, None, store))
    ]
