"""Links all articles of a bootstrap day again, with the frequencies of all arrivals of the day.

The pass is done in parts, so that articles that arrive meanwhile are linked between two parts. An error ends it. The
articles are still provisional then, so a new pass begins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine

from worker.linking.batch_linking import BATCH, BatchLinking
from worker.linking.days.arrival_days import features_of_page, pages
from worker.linking.days.bootstrap_day import BootstrapDay
from worker.linking.lease import Lease
from worker.linking.pairs.similar_links import STORY_KINDS
from worker.linking.texts.frequencies import Frequencies
from worker.linking.texts.idf_basis import IdfBasis
from worker.linking.window import Window
from worker.store.engine import writer
from worker.store.linking import compared_articles, link_states
from worker.store.linking.compared_articles import time_of

_MARKED = 10 * BATCH
_Seen = dict[int, tuple[float, datetime]]
"""Article id → its time and when it was changed, as the pass read them."""


class BootstrapPass:
    """One pass over the day of `basis`. `seconds` is how long its parts have taken so far."""

    def __init__(
        self, engine: Engine, lease: Lease, linking: BatchLinking, window: Window, basis: IdfBasis, day: BootstrapDay
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._linking = linking
        self._window = window
        self._basis = basis
        self._day = day
        self._parts = self._run()
        self.seconds = 0.0

    def advance(self) -> int | None:
        """Do the next part and return how many articles it had; None if there was nothing left to do."""
        self._lease.renew()
        began = time.monotonic()
        done = next(self._parts, None)
        self.seconds += time.monotonic() - began
        return done

    def _run(self) -> Iterator[int]:
        """Yield after each part how many articles it was.

        Articles that change meanwhile stay pending or provisional, so that another pass follows: the versions are read
        before the frequencies are counted.
        """
        seen: _Seen = {}
        for page in pages(self._engine, compared_articles.changed_on(self._basis.day)):
            seen.update({row.id: (time_of(row), row.changed_at) for row in page})
            yield len(page)
        self._add_earlier(seen)
        today = Frequencies()
        for page in pages(self._engine, compared_articles.arrivals(self._basis.day, STORY_KINDS)):
            today.add(features_of_page(page))
            yield len(page)
        self._day.recount(self._basis.with_today(today))
        self._window.set_frequencies(self._day.frequencies)
        order = [id_ for _, id_ in sorted((moment, id_) for id_, (moment, _) in seen.items())]
        for start in range(0, len(order), BATCH):
            yield self._linking.link(order[start : start + BATCH], mark=None)
        for start in range(0, len(order), _MARKED):
            part = {id_: seen[id_][1] for id_ in order[start : start + _MARKED]}
            yield len(part)
            with writer(self._engine) as connection, connection.begin():
                self._lease.confirm(connection)
                unchanged, _ = link_states.unchanged(connection, part)
                link_states.mark_linked(connection, unchanged)

    def _add_earlier(self, seen: _Seen) -> None:
        """Add the articles of earlier days that still wait."""
        with self._engine.begin() as connection:
            for state in (link_states.IS_PENDING, link_states.IS_PROVISIONAL):
                for row in link_states.pending(connection, 1_000_000, state):
                    if row.changed_at.date() < self._basis.day:
                        seen.setdefault(row.id, (0.0, row.changed_at))
