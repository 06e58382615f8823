"""The metrics endpoint reports what Redis and the store hold, and reports when one of them does not answer."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.store.histories import Put
from tests.integration.store.store_driver import entry, work
from tests.support.databases import SQLITE_BY_DEFAULT
from worker.activity.minute_counters import Counts, MinuteCounters
from worker.monitoring.exporter import CopydeskCollector
from worker.queue.lease_queue import LeaseQueue
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.telemetry.metrics import METRICS


@pytest.fixture
def registry(redis_client, engine):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CopydeskCollector(Settings(), redis_client, engine))
    return registry


def test_every_metric_of_the_list_is_served_and_no_other(registry):
    families = {
        (f"{f.name}_total" if f.type == "counter" else f.name, f.type, f.documentation) for f in registry.collect()
    }

    assert families == {(metric.name, metric.kind, metric.description) for metric in METRICS}


def test_the_backlog_of_a_lane_is_exported(registry, redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    redis_client.xadd("documents", {"raw": "x"})

    assert registry.get_sample_value("copydesk_backlog_documents", {"lane": "documents"}) == 1


def test_vanished_entries_are_exported(registry, redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    redis_client.xadd("documents", {"raw": "x"})
    redis_client.xtrim("documents", maxlen=0)

    assert registry.get_sample_value("copydesk_vanished_documents", {"lane": "documents"}) == 1


def test_rejections_are_exported_by_source_and_code(registry, redis_client):
    counts = Counts("documents", stages_ms={"read": 2500.0})
    counts.codes["crawler", "no_title"] = 3
    MinuteCounters(redis_client).add(counts)
    labels = {"lane": "documents", "source": "crawler", "code": "no_title"}

    assert registry.get_sample_value("copydesk_rejected_total", labels) == 3
    assert registry.get_sample_value("copydesk_stage_seconds_total", {"lane": "documents", "stage": "read"}) == 2.5


def test_open_dead_letters_are_exported_by_code(registry, engine):
    work(engine, "documents", [entry(1, Put("s", "k", "not a url", None, (), "one: two: A", "x", None, "AAAA"))])

    assert registry.get_sample_value("copydesk_dead_letters", {"code": "yaml_unquoted_colon"}) == 1


def test_waiting_times_of_documents_are_exported(registry, redis_client):
    MinuteCounters(redis_client).add(Counts("documents", waits=[0.2, 0.2, 50, 100_000]))

    def below(bound):
        return registry.get_sample_value("copydesk_latency_seconds_bucket", {"lane": "documents", "le": bound})

    assert [below(bound) for bound in ("0.1", "0.25", "60.0", "14400.0", "+Inf")] == [0, 2, 3, 3, 4]
    assert registry.get_sample_value("copydesk_latency_seconds_sum", {"lane": "documents"}) == pytest.approx(100_050.4)


def test_restarts_by_a_watchdog_are_exported_from_zero(registry, redis_client):
    assert registry.get_sample_value("copydesk_watchdog_restarts_total", {"part": "consumer"}) == 0
    MinuteCounters(redis_client).restarted("consumer")

    assert registry.get_sample_value("copydesk_watchdog_restarts_total", {"part": "consumer"}) == 1


def test_an_article_that_waits_for_the_linker_is_exported(registry, engine):
    assert registry.get_sample_value("copydesk_link_lag_seconds") == 0
    work(engine, "documents", [entry(1, Put("s", "k", "https://a.example/1", None, (), "A", "x", None, "AAAA"))])

    assert registry.get_sample_value("copydesk_unlinked_articles") == 1
    assert 0 < registry.get_sample_value("copydesk_link_lag_seconds") < 60


@SQLITE_BY_DEFAULT
def test_hostile_names_are_escaped_and_bounded(registry, redis_client):
    hostile = ['a"} 1\ncopydesk_up{server="redis"} 0\n', "back\\slash", "\x00\x1b[31m", "snowman ☃", "x" * 5000, ""]
    registry.get_sample_value("copydesk_up", {"server": "redis"})
    for start in range(0, 3000, 100):
        redis_client.delete(*redis_client.keys("copydesk:tally:*") or ["none"])  # starts another minute
        counts = Counts("documents")
        for number in range(start, start + 100):
            counts.codes[f"{hostile[number % 6]}{number if start else ''}", "no_title"] += 1
        MinuteCounters(redis_client).add(counts)
        text = generate_latest(registry).decode()

    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    rejected = [sample for sample in families["copydesk_rejected"] if sample.name.endswith("_total")]
    assert 1000 <= len(rejected) <= 1002, "1,000 sources, and the rest together"
    assert any(sample.labels["source"] == "(other)" and sample.value > 1000 for sample in rejected)
    assert max(len(sample.labels["source"]) for sample in rejected) <= 64
    assert {tuple(s.labels.items()): s.value for s in families["copydesk_up"]} == {
        (("server", "redis"),): 1,
        (("server", "database"),): 1,
    }


def test_an_unreachable_database_is_exported_as_down_with_all_other_metrics(redis_client, tmp_path):
    nowhere = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", data_dir=tmp_path)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CopydeskCollector(nowhere, redis_client, make_engine(nowhere, pooled=False)))

    assert registry.get_sample_value("copydesk_up", {"server": "database"}) == 0
    assert registry.get_sample_value("copydesk_backlog_documents", {"lane": "documents"}) == 0
