"""Measure linking with many synthetic articles: CPU a document, memory, and the time to load the window again.

Words are drawn by Zipf's law from a vocabulary of 200,000, so that the number of different features grows as it does in
real collections (about 12 an article).
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from worker.linking.index import Index
from worker.linking.pairs.evidence import CANDIDATE_SCORE
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.window import Window
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.linking import compared_articles
from worker.store.migration import upgrade
from worker.store.tables import articles

_VOCABULARY = 200_000
_DAYS = 14
_QUERIES = 2_000
_AT_ONCE = 100


def texts(count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Return (title, excerpt) of articles of about the length of real ones."""
    random = np.random.default_rng(seed)
    share = 1 / np.arange(3, _VOCABULARY + 3) ** 1.05
    cumulative = np.cumsum(share / share.sum())
    for _ in range(count):
        drawn = [f"w{number}" for number in np.searchsorted(cumulative, random.random(45)).tolist()]
        yield " ".join(drawn[:10]), " ".join(drawn[10:])


def measure(count: int) -> None:
    for at_once in (_AT_ONCE, 10, 1):
        _cost_of_a_document(20_000, at_once)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/scale.db"
        # Each size runs in its own process, so that only its memory is counted.
        for target, arguments in ((_fill, (url, folder, count)), (_rebuild, (url, folder))):
            child = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
            child.start()
            child.join()


def _cost_of_a_document(window: int, at_once: int) -> None:
    index, frequencies = Index(), Frequencies()
    step = _DAYS * 86_400 / window
    sample = list(texts(window))
    for start in range(0, window, _AT_ONCE):
        features = features_of_all(sample[start : start + _AT_ONCE])
        frequencies.add(features)
        numbers = range(start, start + len(features))
        index.add(numbers, [number * step for number in numbers], features)
    index.set_frequencies(frequencies)
    sample = list(texts(_QUERIES, seed=2))
    began = time.process_time()
    for start in range(0, _QUERIES, at_once):
        features = features_of_all(sample[start : start + at_once])
        numbers = range(window + start, window + start + len(features))
        times = [number * step for number in numbers]
        index.add(numbers, times, features)
        index.neighbours(numbers, times, features, floor=CANDIDATE_SCORE, limit=300)
    spent = time.process_time() - began
    print(f"CPU a document, window of {window:,}: {1000 * spent / _QUERIES:.3f} ms "
          f"(features, adding, asking; {at_once} arrive at once)")  # fmt: skip


def _fill(url: str, folder: str, count: int) -> None:
    config = Settings(database_url=url, data_dir=Path(folder))
    upgrade(config)
    engine = make_engine(config)
    now = datetime.now(UTC)
    rows = []
    for number, (title, excerpt) in enumerate(texts(count)):
        at = now - timedelta(days=_DAYS * (count - number) / count)
        rows.append({
            "url_hash": blake2b(str(number).encode(), digest_size=16).digest(), "kind": "article", "title": title,
            "excerpt": excerpt, "published_at": at, "is_stub": False, "link_state": "linked", "extra": {}, "revision": "",
            "first_seen_at": at, "changed_at": at,
        })  # fmt: skip
    with engine.begin() as connection:
        for start in range(0, count, 5000):
            connection.execute(insert(articles), rows[start : start + 5000])
    engine.dispose()


def _rebuild(url: str, folder: str) -> None:
    import worker.linking.process  # noqa: F401  what the linker's process holds beside the window counts too

    engine = make_engine(Settings(database_url=url, data_dir=Path(folder)), small_cache=True)
    frequencies, window = Frequencies(), Window(1_000_000)
    with engine.connect() as connection:
        for page in compared_articles.pages(connection, columns=compared_articles.INDEXED):
            frequencies.add(features_of_all([(row.title, row.excerpt) for row in page]))
        began, clock = time.process_time(), time.monotonic()
        window.set_frequencies(frequencies)
        window.cover(connection, 0.0, 0.0, lambda: None)
    spent, waited = time.process_time() - began, time.monotonic() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"window of {len(window.index):,} read again: {spent:.1f} s of CPU, {waited:.1f} s in all; "
          f"memory of the whole process {_resident():.0f} MB, {peak:.0f} MB at most")  # fmt: skip
    engine.dispose()


def _resident() -> float:
    """Return the resident memory of this process in MB, including pages of files that it shares with others."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
