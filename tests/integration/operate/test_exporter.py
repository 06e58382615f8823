"""The endpoint tells what Redis and the store hold, and says so when one of them does not answer."""

import pytest
from prometheus_client import CollectorRegistry

from tests.integration.store.desk import entry, work
from tests.integration.store.histories import Put
from worker.intake.stream import LeaseQueue
from worker.intake.tally import Counts, Tally
from worker.observe.metrics import METRICS
from worker.operate.exporter import CopydeskCollector
from worker.settings import Settings
from worker.store.engine import make_engine


@pytest.fixture
def registry(redis_client, engine):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CopydeskCollector(Settings(), redis_client, engine))
    return registry


def test_every_metric_of_the_list_is_served_and_no_other(registry):
    families = {
        (f.name if f.type == "gauge" else f"{f.name}_total", f.type, f.documentation) for f in registry.collect()
    }

    assert families == {(metric.name, metric.kind, metric.meaning) for metric in METRICS}


def test_the_backlog_of_a_lane(registry, redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    redis_client.xadd("documents", {"raw": "x"})

    assert registry.get_sample_value("copydesk_backlog_documents", {"lane": "documents"}) == 1


def test_entries_that_vanished(registry, redis_client):
    LeaseQueue(redis_client, "documents").ensure()
    redis_client.xadd("documents", {"raw": "x"})
    redis_client.xtrim("documents", maxlen=0)

    assert registry.get_sample_value("copydesk_vanished_documents", {"lane": "documents"}) == 1


def test_rejections_by_source_and_code(registry, redis_client):
    counts = Counts("documents", stages_ms={"read": 2500.0})
    counts.codes["crawler", "no_title"] = 3
    Tally(redis_client).add(counts)
    labels = {"lane": "documents", "source": "crawler", "code": "no_title"}

    assert registry.get_sample_value("copydesk_rejected_total", labels) == 3
    assert registry.get_sample_value("copydesk_stage_seconds_total", {"lane": "documents", "stage": "read"}) == 2.5


def test_open_dead_letters_by_code(registry, engine):
    work(engine, "documents", [entry(1, Put("s", "k", "not a url", None, (), "one: two: A", "x", None, "AAAA"))])

    assert registry.get_sample_value("copydesk_dead_letters", {"code": "yaml_unquoted_colon"}) == 1


def test_a_database_that_does_not_answer_is_down_and_the_rest_is_told(redis_client, tmp_path):
    nowhere = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", data_dir=tmp_path)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CopydeskCollector(nowhere, redis_client, make_engine(nowhere, pooled=False)))

    assert registry.get_sample_value("copydesk_up", {"server": "database"}) == 0
    assert registry.get_sample_value("copydesk_backlog_documents", {"lane": "documents"}) == 0
