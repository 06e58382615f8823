"""A step of background work that is slower than other processes: it must not write what it read before a change."""

import threading
from dataclasses import replace

import pytest

from tests.integration.store.histories import Put, Retract
from tests.integration.store.snapshot import snapshot
from tests.integration.store.store_driver import empty, entry, settle, work
from worker.heat_rules import AllRules
from worker.settings import Settings
from worker.store.background import article_step, image_step, target_step, work_rows
from worker.store.background.steps import work_step
from worker.store.decide import stored
from worker.store.engine import make_engine

_PUT = Put("s", "k1", "https://site0.example/story", None, (), "A", "x", None, "AAAA", quality=30, provider="Paper")
_SAME_PROVIDER = replace(_PUT, key="k2", url="https://site1.example/story")
_LISTS = replace(
    _PUT,
    key="k3",
    url="https://site2.example/story",
    related=("https://site0.example/story",),
    quality=60,
    provider=None,
)
_LISTS_TWO = replace(_LISTS, related=("https://site0.example/story", "https://site1.example/story"))
_PLAIN = replace(_PUT, provider=None)
_OTHER = replace(_PLAIN, key="k2", url="https://site1.example/story")
_CLAIMS = replace(_OTHER, amp="https://site0.example/story")
_ALSO_CLAIMS = replace(_CLAIMS, key="k4", url="https://site3.example/story")
_NAMES = [replace(_LISTS, key=f"n{n}", url=f"https://site4.example/{n}", quality=None) for n in range(3)]
_IMAGE = "https://site0.example/logo.jpg"
_SHOWS = [
    replace(_PLAIN, key=f"i{n}", url=f"https://site3.example/{n}", image=_IMAGE, title=t) for n, t in enumerate("ABC")
]
CASES = {
    "names": (
        (work_rows.Progress, "write"),
        [_PUT],
        [replace(_PUT, provider="Daily"), replace(_PUT, provider="Other")],
    ),
    "names of two articles": (
        (work_rows.Progress, "write"),
        [_PUT, _SAME_PROVIDER],
        [replace(_SAME_PROVIDER, provider="Daily"), replace(_PUT, provider="Daily")],
    ),
    "heat": (
        (work_rows.Progress, "write"),
        [_PUT, _LISTS, replace(_PUT, quality=90)],
        [_PUT, replace(_PUT, quality=60, day=2)],
    ),
    # The slow step computes the heat of an article because of one related article, while another one changes.
    "heat of two related articles": (
        (work_rows.Progress, "write"),
        [_PUT, _OTHER, _LISTS_TWO, replace(_PUT, quality=90)],
        [replace(_OTHER, quality=95), replace(_OTHER, quality=20)],
    ),
    "images": ((work_rows.Progress, "write"), _SHOWS, [replace(_SHOWS[2], title="A"), replace(_SHOWS[1], title="A")]),
    # With the least bounds, a URL that three articles name is decided in steps.
    "links": (
        (target_step, "flights"),
        [*_NAMES, _CLAIMS],
        [replace(_ALSO_CLAIMS, title="B"), replace(_ALSO_CLAIMS, amp=None)],
    ),
    "links to a stub": (
        (target_step, "flights"),
        [*_NAMES, _CLAIMS],
        [replace(_CLAIMS, amp=None), replace(_NAMES[0], title="C")],
    ),
    "links after a retraction": (
        (target_step, "flights"),
        [*_NAMES, _CLAIMS, _ALSO_CLAIMS],
        [Retract("s", "k4"), Retract("s", "k2")],
    ),
    "links there and back": (
        (target_step, "flights"),
        [*_NAMES, _CLAIMS, _ALSO_CLAIMS],
        [replace(_CLAIMS, title="B"), replace(_ALSO_CLAIMS, title="B")],
    ),
}


@pytest.fixture
def engine(migrated_store_url, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "MOST_NAMERS", 2)
    monkeypatch.setattr(target_step, "STEP_LINKS", 1)
    monkeypatch.setattr(image_step, "STEP_USES", 1)
    monkeypatch.setattr(image_step, "_FEWEST_USES", 1)
    monkeypatch.setattr(article_step, "STEP_ARTICLES", 1)
    config = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(config)
    yield engine
    engine.dispose()


def _snapshot(engine):
    settle(engine)
    with engine.connect() as connection:
        return snapshot(connection)


class _Others:
    """Other processes that change documents and do steps while a step is slow. SQLite makes them wait for it."""

    def __init__(self, engine, events, first, finishes):
        self._engine, self._events, self._first, self._finishes = engine, events, first, finishes
        self._thread = threading.Thread(target=self._run)
        self.happened = False

    def interrupt(self, function):
        def slow(*arguments, **options):
            if not self.happened and threading.current_thread() is threading.main_thread():
                self.happened = True
                self._thread.start()
                self._thread.join(1)
            return function(*arguments, **options)

        return slow

    def _run(self):
        for number, event in enumerate(self._events, self._first):
            work(self._engine, "documents", [entry(number, event)])
            # A step that returns 0 may have met the slow one, which holds the step lock.
            for _ in range(20 if self._finishes else 0):
                if work_step(self._engine, AllRules()) is None:
                    break

    def end(self):
        self._thread.join()


@pytest.mark.parametrize(("migrated_store_url", "times", "finishes"), [
    pytest.param("sqlite", 1, True, id="sqlite-one change, another process does steps"),
    pytest.param("postgresql", 1, True, id="postgresql-one change, another process does steps"),
    pytest.param("postgresql", 2, False, id="postgresql-two changes, nobody else does steps"),
    pytest.param("sqlite", 2, False, marks=pytest.mark.long), *(
        pytest.param(store, times, finishes, marks=pytest.mark.long)
        for store in ("sqlite", "postgresql") for times, finishes in ((1, False), (2, True))
    ),
], indirect=["migrated_store_url"])  # fmt: skip
@pytest.mark.parametrize("kind", CASES)
def test_a_slow_step_does_not_undo_a_change(engine, monkeypatch, kind, times, finishes):
    (place, name), before, after = CASES[kind]
    events = [*before, *after[:times]]
    for number, event in enumerate(before):
        work(engine, "documents", [entry(number, event)])
    others = _Others(engine, after[:times], len(before), finishes)
    monkeypatch.setattr(place, name, others.interrupt(getattr(place, name)))
    while not others.happened:
        assert work_step(engine, AllRules()) is not None, "the step was not reached"
    others.end()
    found = _snapshot(engine)
    empty(engine)
    for number, event in enumerate(events):
        if all(later.key != event.key for later in events[number + 1 :]):
            work(engine, "documents", [entry(number, event)])
    assert found == _snapshot(engine)
