"""Check that the benchmarks run: a few documents through Copydesk and through a peer of each kind in this process, and
the report.
"""

import pytest

from tests.benchmarks.generator import Generator

pytest.importorskip("frontmatter", reason="the extra `bench` is not installed")
pytest.importorskip("psutil", reason="the extra `bench` is not installed")


def test_the_same_seed_gives_the_same_documents():
    assert Generator(3).documents(50) == Generator(3).documents(50)


def test_documents_have_the_shape_of_real_ones():
    documents = Generator(3).documents(1000)
    named = [one.raw.count(b"\n  - title:") for one in documents]
    assert 9 <= sum(named) / len(named) <= 14
    assert 0.45 <= sum(count == 0 for count in named) / len(named) <= 0.55
    assert 7_000 <= sum(len(one.raw) for one in documents) / len(documents) <= 14_000
    assert len({one.key for one in documents}) == len(documents)


def test_nearly_half_of_the_updates_change_only_secured():
    generator = Generator(3)
    documents = generator.documents(200)
    known = {one.key: _without_secured(one.raw) for one in documents}
    same = 0
    for update in generator.updates(documents, 400):
        same += _without_secured(update.raw) == known[update.key]
        known[update.key] = _without_secured(update.raw)
    assert 0.35 <= same / 400 <= 0.55


def _without_secured(raw):
    return raw.partition(b"\nsecured:")[0]


def test_every_way_of_storing_fills_the_same_rows(valkey, tmp_path, monkeypatch):
    """Uses the peers that write one by one and in batches, and Copydesk's pipeline, on one SQLite store each."""
    from tests.benchmarks.contenders import Peer, Setting, count_rows
    from tests.benchmarks.stages import Bench

    documents = Generator(3).documents(40)
    monkeypatch.setenv("BENCH_REDIS_URL", valkey.url)
    monkeypatch.setenv("BENCH_DATABASE_URL", "")
    counts = {}
    for way in ("naive", "batches"):
        setting = Setting(valkey, f"sqlite:///{tmp_path / way}.db", tmp_path, [])
        peer = Peer(setting, way)
        peer.prepare()
        if way == "batches":
            peer.module.ingest([one.raw.decode() for one in documents])
        else:
            for one in documents:
                peer.module.ingest(one.raw.decode())
        counts[way] = count_rows(setting.database_url)
    valkey.client().flushall()
    setting = Setting(valkey, f"sqlite:///{tmp_path / 'desk'}.db", tmp_path, [])
    monkeypatch.setattr(Bench, "link", lambda self: None)  # the peers find no similar articles
    bench = Bench(setting)
    costs = bench.costs(documents)
    bench.close()
    counts["copydesk"] = count_rows(setting.database_url)
    assert counts["naive"]["articles"] >= 40
    for table in ("articles", "links", "article_topics", "providers", "topics"):
        assert len({count[table] for count in counts.values()}) == 1, (table, counts)
    assert {"read", "parse", "validate", "enrich", "load", "decide", "write", "settle"} <= costs.micros.keys()
    assert costs.statements > 10


def test_the_report_names_every_contender(tmp_path):
    from tests.benchmarks.contenders import LIMITS, PEERS
    from tests.benchmarks.plot import plot
    from tests.benchmarks.report import NAMES, table

    pytest.importorskip("matplotlib", reason="the extra `bench` is not installed")
    run = {"per_second": 100.0, "cpu_micros": 900.0, "megabytes": [80.0], "own_megabytes": [30.0]}
    found = dict.fromkeys((*LIMITS, "copydesk", *PEERS), run)
    text = table({"throughput": found})
    assert all(NAMES[name] in text for name in found)
    plot({"throughput": found, "sqlite": {"copydesk": run}}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_the_ratios_of_scaling_are_those_of_its_rates():
    from tests.benchmarks.report import table
    from tests.benchmarks.scaling import ratios

    rates = {"1 process, 0 ms": 500, "2 processes, 0 ms": 900, "8 processes, 0 ms": 720, "1 process, 5 ms": 450,
             "8 processes, 5 ms": 630, "2 processes, 5 ms": 700, "1 process, 0 ms, no queue": 600, "2 processes, 0 ms, no queue": 900,
             "2 processes, reading alone": 2_000, "4 processes, reading alone": 1_900}  # fmt: skip
    found = {
        name: {"per_second": rate, "cpu_micros": 1.0, "lock_ms": 2.0, "work_seconds": 3.0}
        for name, rate in rates.items()
    }
    assert ratios(found) == {
        "2 processes, of 1": 1.8,
        "8 processes, of 2": 0.8,
        "the best with the delay, of the best without": 700 / 900,
        "8 processes with the delay, of the best": 0.9,
        "2 processes, of 1, no queue": 1.5,
        "4 processes, of 2, reading alone": 0.95,
    }
    assert "| 2 processes, of 1 | 1.80 |" in table({"scaling": found})


def test_generated_reference_documents_are_accepted():
    from worker.documents.validation import read

    references = list(Generator(3).references(12))
    assert len({one.key for one in references}) == 12
    assert {read(one.raw, has_key=True).reference.taxonomy for one in references} == {"organization", "topic"}
