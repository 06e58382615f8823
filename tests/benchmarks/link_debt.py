"""How long articles wait for the linker when many wait at once: `python -m tests.benchmarks.link_debt`.

`--articles` pending rows are put into a store, and a linker runs until nothing waits. Printed for SQLite and
PostgreSQL, once on a first day (no frequencies are known, so articles are linked provisionally and once more) and once
after a day that is as large:

- when the last article was linked for the first time: so long the longest one waited;
- CPU of this process, and of the database, by article, until then and until everything is final;
- the memory of this process at most.

The articles are reports of made-up events: of five events three are reported once, one twice, one by three to twelve
sites. Words are drawn by Zipf's law from a vocabulary of 200,000. With a folder the articles are those of that
collection, with other rare words in each copy of it.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import pstats
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import count as counting
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import SecretStr
from sqlalchemy import Engine, func, insert, select

from tests.benchmarks.collection import load
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.setting import Servers, Setting
from worker.linking.linker import LEASE_SECONDS, ROLE, Linker
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.settings import Settings
from worker.store.decide.article_rows import EMPTY
from worker.store.engine import make_engine
from worker.store.linking import day_frequencies, leader, link_states
from worker.store.migration import upgrade
from worker.store.tables import article_urls, articles, providers
from worker.store.tables import links as links_table

_SITES = 300
_RARE = 100  # a word in fewer articles of the folder is another word in each copy
_DAYS = 14
_DOCUMENTS_OF_THE_PAST = 2_000

Text = tuple[str, str]


def made_up(seed: int = 1) -> Iterator[Text]:
    """Yield (title, excerpt) of articles, those of one event one after the other."""
    random = np.random.default_rng(seed)
    share = 1 / np.arange(3, 200_003) ** 1.05
    cumulative = np.cumsum(share / share.sum())

    def draw(count: int) -> list[str]:
        return [f"w{number}" for number in np.searchsorted(cumulative, random.random(count)).tolist()]

    while True:
        names = [f"N{number}" for number in random.zipf(1.3, 5).clip(max=10**6).tolist()]
        event = [*names, *draw(14), str(random.integers(2, 400))]
        for _ in range((1, 1, 1, 2, int(random.integers(3, 13)))[int(random.integers(5))]):
            event_words = [event[place] for place in random.permutation(len(event))[:14]]
            yield " ".join([*event_words[:5], *draw(4)]), " ".join([*event_words[5:], *draw(22)])


def of_folder(folder: Path) -> Iterator[Text]:
    """Yield (title, excerpt) of a collection's articles again and again, with other rare words each time."""
    texts = [((item.title or "").split(), (item.excerpt or "").split()) for item in load(folder)]
    seen = Counter(word for title, excerpt in texts for word in {*title, *excerpt})

    def varied(words: list[str], repetition: int) -> str:
        return " ".join(word if seen[word] >= _RARE else word + "x" * repetition for word in words)

    for repetition in counting():
        for title, excerpt in texts:
            yield varied(title, repetition), varied(excerpt, repetition)


@dataclass(slots=True)
class Result:
    """Seconds until every article is linked, at first and finally, with CPU milliseconds of an article until then."""

    linked: float
    linked_cpu: float
    final: float
    final_cpu: float
    database_cpu: float
    links: int
    megabytes: float


def fill(url: str, folder: Path | None, count: int, first_day: bool) -> None:
    """Put pending articles into a new store."""
    config = Settings(database_url=SecretStr(url))
    upgrade(config, only_if_empty=False)
    texts = list(islice(of_folder(folder) if folder else made_up(), count))
    engine = make_engine(config)
    _fill(engine, texts)
    if not first_day:
        _give_a_past(engine, texts)
    engine.dispose()


def measure(setting: Setting, count: int, *, profile: bool) -> Result:
    """Link the pending articles of a store."""
    from worker.linking.process import collect_rarely  # what the linker's process holds beside the window counts too

    collect_rarely()
    config = Settings(database_url=SecretStr(setting.database_url), data_dir=setting.folder / "desk")
    engine = make_engine(config, small_cache=True, repeats=True)
    token = leader.acquire(engine, ROLE, "bench", seconds=LEASE_SECONDS)
    assert token is not None
    linker = Linker(engine, token=token, window=config.link_window_articles)
    profiler = cProfile.Profile(time.process_time) if profile else None
    if profiler:
        profiler.enable()
    began, database = time.monotonic(), cpu_seconds(setting.database_pids)
    cpu = time.process_time()
    linked = linked_cpu = 0.0
    while True:
        done = linker.step()
        with engine.begin() as connection:
            if not linked and not link_states.pending(connection, 1):
                linked, linked_cpu = time.monotonic() - began, time.process_time() - cpu
                print(f"  every article was linked once after {linked:.1f} s", flush=True)
            if not done and not link_states.pending_count(connection):
                break
        if not done:
            time.sleep(0.05)
    final, final_cpu = time.monotonic() - began, time.process_time() - cpu
    if profiler:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        pstats.Stats(profiler).sort_stats("cumtime").print_stats(60)
    with engine.connect() as connection:
        stored = connection.scalar(select(func.count()).select_from(links_table)) or 0
    engine.dispose()
    each = 1000 / count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    database = cpu_seconds(setting.database_pids) - database
    return Result(linked, linked_cpu * each, final, final_cpu * each, database * each, stored // 2, peak)


def _fill(engine: Engine, texts: list[Text]) -> None:
    now = datetime.now(UTC)
    random = np.random.default_rng(3)
    sites = random.integers(1, _SITES + 1, len(texts)).tolist()
    hours = random.random(len(texts)) * 24
    with engine.begin() as connection:
        connection.execute(
            insert(providers), [{"domain": f"site{n}.example", "other_names": []} for n in range(_SITES)]
        )
        for start in range(0, len(texts), 5000):
            rows, claims = [], []
            for number, (title, excerpt) in enumerate(texts[start : start + 5000], start):
                url_hash = blake2b(str(number).encode(), digest_size=16).digest()
                at = now - timedelta(days=_DAYS * (len(texts) - number) / len(texts), hours=hours[number])
                rows.append({
                    **EMPTY, "url_hash": url_hash, "first_seen_at": now, "changed_at": now, "revision": "", "kind": "article", "title": title, "excerpt": excerpt, "published_at": at,
                    "is_stub": False, "link_state": "pending", "provider_id": sites[number],
                })  # fmt: skip
                url = f"https://site{sites[number]}.example/{number}"
                claims.append({"article_id": number + 1, "claim": "web", "url_hash": url_hash, "url": url})
            connection.execute(insert(articles), rows)
            connection.execute(insert(article_urls), claims)


def _give_a_past(engine: Engine, texts: list[Text]) -> None:
    past = Frequencies()
    past.add(features_of_all(texts[-_DOCUMENTS_OF_THE_PAST:]))
    times = -(-len(texts) // _DOCUMENTS_OF_THE_PAST) + 1
    past.counts *= times
    past.documents *= times
    with engine.begin() as connection:
        day_frequencies.keep_day(connection, datetime.now(UTC).date() - timedelta(days=1), past.documents, past.dump())


def _run(database: str, first_day: bool, options: argparse.Namespace) -> None:
    servers = Servers(postgres=database == "postgresql")
    try:
        with servers.fresh(database) as setting:
            # In a process of its own, so that its memory does not count.
            _in_process(fill, setting.database_url, options.folder, options.articles, first_day)
            got = measure(setting, options.articles, profile=options.profile)
    finally:
        servers.stop()
    day = "first day" if first_day else "later day"
    print(f"{database}, {day}: {options.articles:,} pending, the longest wait {got.linked:.1f} s ({got.linked_cpu:.2f} ms of "
          f"CPU each); final after {got.final:.1f} s ({got.final_cpu:.2f} ms, the database {got.database_cpu:.2f} ms); "
          f"{got.links:,} links; {got.megabytes:.0f} MB at most", flush=True)  # fmt: skip


def _in_process(target: Callable[..., None], *arguments: object) -> None:
    child = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        sys.exit(child.exitcode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--articles", type=int, default=60_000)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    parser.add_argument("--days", nargs="+", choices=("first", "later"), default=("first", "later"))
    parser.add_argument("--profile", action="store_true", help="print where the time goes; everything is slower then")
    options = parser.parse_args()
    for database in options.databases:
        for day in options.days:
            _in_process(_run, database, day == "first", options)


if __name__ == "__main__":
    main()
