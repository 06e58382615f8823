"""What a batch costs that touches something very many rows share: a URL that they name or claim, bytes, an image, a provider.

Each case fills a store by copying one document (`tests.support.filled_store`) and then stores a few batches, one after
the other. The same batches on a store with three copies are the comparison: the cost must depend on the batch, not on
the number of copies. Work that reaches many rows is done after the batch, in steps.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from tests.benchmarks.generator import Generator
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.setting import Servers, Setting
from tests.support.filled_store import CLAIMED, NAMED, SAME, SOURCE, document, fill, naming
from worker.documents.limits import Limits
from worker.heat_rules import AllRules
from worker.jobs.reenrichment import complete
from worker.pipeline import Batch, process
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.migration import upgrade

FEW = 3
_IMAGE = "images:\n  - url: https://images.filled.example/logo.png\n    width: 900\n    height: 600\n"


@dataclass(frozen=True, slots=True)
class Case:
    """`raw` is copied; `batches(copies)` returns name → (key, bytes or None for a retraction) of each document."""

    raw: bytes
    batches: Callable[[int], dict[str, list[tuple[str, bytes | None]]]]
    same_bytes: bool = False


def _named(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    newest = f"copy-{copies}.md"
    return {
        "it is named again": [_other(n, naming(NAMED)) for n in range(10)],
        "its newest namer is retracted": [("other-9.md", None), (newest, None)],
        "its newest namer names it no longer": [(f"copy-{copies - 1}.md", _copy(copies - 1))],
        "its own document comes": [("own.md", document(url=NAMED))],
        "its own document changes": [("own.md", document(url=NAMED).replace(b"quality: 50", b"quality: 90"))],
        "its own document is retracted": [("own.md", None)],
        "an article claims it": [_other(1, f"ampWebUrl: {NAMED}\n")],
        "the claim ends": [("other-1.md", None)],
    }


def _claimed(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    return {
        "it is named": [_other(n, naming(CLAIMED)) for n in range(10)],
        "it is claimed again": [_other(20, f"ampWebUrl: {CLAIMED}\n")],
        "its newest claims end": [("other-20.md", None), (f"copy-{copies}.md", None)],
        "its own document comes": [("own.md", document(url=CLAIMED))],
    }


def _one_article(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    raw = document(url=SAME)
    return {
        "they come again": [(f"copy-{n}.md", raw) for n in range(min(copies, 10))],
        "they come under new keys": [(f"other-{n}.md", raw) for n in range(10)],
        "one changes": [("copy-1.md", raw.replace(b"A title", b"Another title"))],
        "the newest are retracted": [(f"other-{n}.md", None) for n in range(10)],
        "the source retracts the URL": [(SAME, None)],
    }


def _own_articles(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    raw = document(url=None)
    return {
        "they come again": [(f"copy-{n}.md", raw) for n in range(min(copies, 10))],
        "they come under new keys": [(f"other-{n}.md", raw) for n in range(10)],
        "some are retracted": [(f"copy-{n}.md", None) for n in range(3)],
    }


def _image(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    titled = [document(_IMAGE, url=f"https://other.example/{n}").replace(b"A title", b"Title %d" % n) for n in range(5)]
    return {
        "other titles show it": [(f"other-{n}.md", raw) for n, raw in enumerate(titled)],
        "no other title shows it": [(f"other-{n}.md", None) for n in range(5)],
    }


def _provider(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    organization = b"---\ntaxonomy: organization\nname: The Filled\ndomain: filled.example\n---\n"
    topic = b"---\ntaxonomy: topic\nname: News\nkeywords: [words]\n---\n"
    named = [document(url=f"https://other.example/{n}").replace(b"name: Filled", b"name: Other") for n in range(10)]
    return {
        "articles name it otherwise": [(f"other-{n}.md", raw) for n, raw in enumerate(named)],
        "its reference document comes": [("reference.md", organization)],
        "its reference document is retracted": [("reference.md", None)],
        "the reference document of its topic comes": [("topic.md", topic)],
    }


def _other(number: int, lines: str) -> tuple[str, bytes]:
    return f"other-{number}.md", document(lines, url=f"https://other.example/{number}")


def _copy(number: int) -> bytes:
    return document(url=f"https://filled.example/{number}")


def _plain(copies: int) -> dict[str, list[tuple[str, bytes | None]]]:
    return {"new documents": [(one.key, one.raw) for one in Generator(1).documents(200)]}


CASES: dict[str, Case] = {
    "many articles": Case(document(), _plain),
    "a URL that many name": Case(document(naming(NAMED)), _named),
    "a URL that many claim": Case(document(f"ampWebUrl: {CLAIMED}\n"), _claimed),
    "many documents with the same bytes, of one article": Case(document(url=SAME), _one_article, same_bytes=True),
    "many documents with the same bytes, without a URL": Case(document(url=None), _own_articles, same_bytes=True),
    "an image that many show": Case(document(_IMAGE), _image),
    "a provider of many articles": Case(document(), _provider),
}


class Store:
    """A filled store, which takes batches as a pool process does."""

    def __init__(self, setting_url: str, folder: Any, case: Case, copies: int) -> None:
        self.config = Settings(database_url=setting_url, data_dir=folder)
        upgrade(self.config)
        self.engine: Engine = make_engine(self.config, repeats=True)
        self._sent = 0
        fill(self.engine, setting_url, case.raw, copies, same_bytes=case.same_bytes)
        list(self.steps())

    def store(self, documents: list[tuple[str, bytes | None]]) -> Batch:
        """Process one batch of the source whose documents were copied."""
        entries = []
        for key, raw in documents:
            self._sent += 1
            fields = {
                b"source": SOURCE.encode(),
                b"key": key.encode(),
                **({b"raw": raw} if raw else {b"op": b"retract"}),
            }
            entries.append(Claimed(f"{1_700_000_000_000 + self._sent}-0", 0, 100, fields, truncated=False))
        batch = Batch("documents", None, "bench", 3, Limits())
        items = process(self.engine, batch, entries, end_attempt=lambda: None)
        rejected = [item.problems for item in items if str(item.outcome) == "rejected"]
        assert len(rejected) <= len(items) // 20, rejected[:3]  # the generator makes a few broken documents
        return batch

    def steps(self) -> Iterator[float]:
        """Do the pending work; yield the seconds of each step."""
        while True:
            began = time.perf_counter()
            if complete(self.engine, AllRules(), seconds=0.0001):
                return
            yield time.perf_counter() - began


@dataclass(slots=True)
class Cost:
    """CPU and wall milliseconds of a batch, in this process and the database; then the steps of its work."""

    cpu: float
    wall: float
    steps: int = 0
    work_seconds: float = 0.0
    longest_step_ms: float = 0.0


def popular(servers: Servers, copies: dict[str, int], *, runs: int = 3) -> dict[str, Any]:
    """Return case and batch → the cost with many copies, and with few. `copies`: how many, by case."""
    found: dict[str, Any] = {}
    for name, count in copies.items():
        few = [_costs(servers, CASES[name], FEW) for _ in range(runs)]
        many = _costs(servers, CASES[name], count)
        for batch, cost in many.items():
            before = statistics.median(one[batch].cpu for one in few)
            line = {"few_ms": before, "many_ms": cost.cpu, "ratio": cost.cpu / before, "wall_ms": cost.wall, "steps": cost.steps,
                    "work_seconds": cost.work_seconds, "longest_step_ms": cost.longest_step_ms}  # fmt: skip
            found[f"{name} ({count:,}): {batch}"] = line
            print(f"  {name} ({count:,}): {batch}: {before:.0f} → {cost.cpu:.0f} ms of CPU ({cost.wall:.0f} by the clock);"
                  f" {cost.steps} steps, {cost.work_seconds:.1f} s, longest {cost.longest_step_ms:.0f} ms", flush=True)  # fmt: skip
    return found


def _costs(servers: Servers, case: Case, copies: int) -> dict[str, Cost]:
    with servers.fresh("postgresql") as setting:
        store = Store(setting.database_url, setting.folder, case, copies)
        store.store([(one.key, one.raw) for one in Generator(2).documents(50)])  # fills caches, prepares plans
        list(store.steps())
        costs = {name: _cost(setting, store, documents) for name, documents in case.batches(copies).items()}
        store.engine.dispose()
        return costs


def _cost(setting: Setting, store: Store, documents: list[tuple[str, bytes | None]]) -> Cost:
    before, began = _cpu(setting), time.perf_counter()
    store.store(documents)
    cost = Cost((_cpu(setting) - before) * 1000, (time.perf_counter() - began) * 1000)
    for seconds in store.steps():
        cost.steps += 1
        cost.work_seconds += seconds
        cost.longest_step_ms = max(cost.longest_step_ms, seconds * 1000)
    return cost


def _cpu(setting: Setting) -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + cpu_seconds(setting.database_pids)
