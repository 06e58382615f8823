"""Takes pending articles (`link_state`), finds similar ones, and writes links and stories.

One process at a time does this (`store.leader`). Every writing transaction checks that this process still leads. It is
short, with at most `_BATCH` articles, because ingest waits for it. All state is in the store: a leader that crashes
loses nothing, and the next one continues with the articles that wait. Transactions that only read commit too, because a
rollback drops all prepared statements.

Pending articles are always linked first; those that come one by one are linked in batches (`pause`). On a bootstrap day
(see `idf_basis.py`) they are linked *provisionally*, with the frequencies known so far, and wait in the state
`provisional`. When arrivals pause or the day is over, all articles of the day are linked again with the frequencies of
all its arrivals, in parts that pending articles interrupt. Only this last result does not depend on the order of
arrival.

Where more than `_MAX_PENDING` articles are pending, all of them are linked provisionally first, by their scores alone
(`BatchLinking.link_by_score`), and for good when nothing is pending. So none waits long for its first links. The window
then holds only those that are linked for good already, so each pair is found once, by its later article.

When nothing else waits, articles that `copydesk relink` marked as `outdated` are linked again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import date

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from worker.heat_rules import AllRules
from worker.linking.batch_linking import BATCH, BatchLinking
from worker.linking.days.arrival_days import count_arrivals, open_day
from worker.linking.days.bootstrap_day import BootstrapDay
from worker.linking.days.bootstrap_pass import BootstrapPass
from worker.linking.lease import LEASE_SECONDS, ROLE, Lease
from worker.linking.pairs.similar_links import STORY_KINDS
from worker.linking.stored_rows import StoredVersion
from worker.linking.texts.features import Features
from worker.linking.texts.idf_basis import IdfBasis
from worker.linking.window import Window
from worker.store.linking import compared_articles, link_states, outdated
from worker.store.linking.compared_articles import time_of
from worker.telemetry.logs import get_logger

log = get_logger("link")

_DEFAULT_RULES = AllRules()
_COUNT_SECONDS = 1.0
"""Pending articles are counted at most so often. (Measured: with 3,000 pending it takes PostgreSQL 3.7 ms.)"""
_COUNTED_PAGES = 10
"""Pages of the day's articles that are counted before the first are linked provisionally; all would take seconds."""
_MANY = BATCH // 10
"""So many articles are linked before the pause is over if no more came since the last step: a burst has ended."""
_MAX_PENDING = 20_000
"""If more articles are pending, all are linked provisionally first. So many take some 8 s to be linked for good."""


class Linker:
    """The work of the leader, which holds the fencing token `token`.

    `window` is how many articles are held in memory. `rules` are those for the heat of stories. `pause`: for so many
    seconds after some pending articles were taken no further ones are, unless they fill a batch or a burst has ended:
    linking one article costs as much as linking twenty together.
    """

    def __init__(
        self, engine: Engine, *, token: int, window: int, rules: AllRules = _DEFAULT_RULES, pause: float = 0.0
    ) -> None:
        self._engine = engine
        self._lease = Lease(engine, token)
        self._max_articles = window
        self._rules = rules
        self._pause = pause
        self._paused_until = 0.0
        self._waiting = 0
        self._counted_at = -math.inf
        self._window = Window(window)
        self._past: BatchLinking | None = None
        self._linking = BatchLinking(engine, self._lease, self._window, rules)
        self._basis: IdfBasis | None = None
        self._bootstrap_day: BootstrapDay | None = None
        self._has_completed_frequencies = False
        self._pass: BootstrapPass | None = None
        self._is_behind = False
        self._newest_day = date.min
        self._seen = date.min, 0, 0
        """(day, articles that had arrived on it, the newest article's id at that moment), for `_is_bootstrap`."""

    def step(self, *, force: bool = False) -> int:
        """Link a bounded number of articles; return how many, or 0 if there is nothing to do now.

        `force` links the articles of a bootstrap day at once as if arrivals had paused, however many they are. Raises
        NoLongerLeader and SQLAlchemy's errors.
        """
        with self._engine.begin() as connection:
            newest = compared_articles.newest_id(connection)
            rows = self._take_pending(connection)
            again = link_states.pending(connection, 1 if rows else BATCH, link_states.IS_PROVISIONAL)
            was_behind, self._is_behind = self._is_behind, self._has_backlog(connection, len(rows))
        if was_behind and not self._is_behind:
            self._linking.forget_provisional()
        if not rows and not again:
            return self._link_outdated(newest)
        self._newest_day = max(self._newest_day, *(_day_of(row) for row in (*rows, *again)))
        basis = self._open(min(_day_of(part[0]) for part in (rows, again) if part))
        is_known = self._bootstrap_day is not None and (bool(rows) or self._pass is not None) and not force
        if is_known or self._is_bootstrap(basis, newest):
            return self._step_of_bootstrap_day(basis, rows, force=force)
        return self._link_for_good(basis, _until(basis.day, rows) or _until(basis.day, again))

    def _take_pending(self, connection: Connection) -> Sequence[StoredVersion]:
        """Return the pending articles to link now: at most a batch.

        In the pause after the last ones there are none, unless they fill a batch, or many wait and no more come.
        """
        rows = link_states.pending(connection, BATCH)
        now = time.monotonic()
        have_ended = len(rows) == self._waiting >= _MANY
        if len(rows) < BATCH and now < self._paused_until and not have_ended:
            self._waiting = len(rows)
            return []
        self._waiting = 0
        if rows:
            self._paused_until = now + self._pause
        return rows

    def _has_backlog(self, connection: Connection, taken: int) -> bool:
        """Whether articles are linked by their scores first: from too many pending ones until less than a batch is left."""
        if taken < BATCH or self._is_behind:
            return taken == BATCH
        now = time.monotonic()
        if now < self._counted_at + _COUNT_SECONDS:
            return False
        self._counted_at = now
        return link_states.has_more_pending(connection, _MAX_PENDING)

    def _step_of_bootstrap_day(self, basis: IdfBasis, rows: Sequence[StoredVersion], *, force: bool) -> int:
        """Link the pending articles `rows` provisionally; if there are none, all of the day again once that is due."""
        if self._bootstrap_day is None:
            self._bootstrap_day = self._begin_bootstrap_day(basis)
        day = self._bootstrap_day
        if rows and not force:
            return self._link_provisionally(basis, day, rows)
        if force or self._pass is not None or self._newest_day > basis.day or day.is_due():
            return self._link_again(basis, day, force=force)
        self._lease.renew()
        return 0

    def _is_bootstrap(self, basis: IdfBasis, newest: int) -> bool:
        """Whether the day of `basis` is a bootstrap day. Counts arrivals only if new ones may change the answer.

        `newest`: the id of the newest article.
        """
        day, seen, until = self._seen
        if day == basis.day and not basis.is_bootstrap(seen + newest - until):
            return False
        with self._engine.begin() as connection:
            self._seen = basis.day, compared_articles.first_seen_count(connection, basis.day), newest
            return basis.is_bootstrap(compared_articles.arrival_count(connection, basis.day, STORY_KINDS))

    def _open(self, day: date) -> IdfBasis:
        """Return the frequencies for a day.

        A day that was left is not opened again: the clock of another machine may be behind.
        """
        if self._basis is not None and self._basis.day >= day:
            return self._basis
        basis = open_day(self._engine, self._lease, day)
        self._basis, self._has_completed_frequencies = basis, False
        self._bootstrap_day = self._pass = None
        log.info("A day of arrival begins", day=str(day), completed_documents=basis.completed.documents)
        return basis

    def _link_for_good(self, basis: IdfBasis, rows: Sequence[StoredVersion]) -> int:
        """Link articles with the frequencies of completed days."""
        self._set_completed_frequencies(basis)
        self._bootstrap_day = self._pass = None
        ids = [row.id for row in rows]
        return self._linking.link_by_score(ids) if self._is_behind else self._linking.link(ids, mark="linked")

    def _link_outdated(self, newest_id: int) -> int:
        """Link a batch of articles again whose links are of an older rule, with the frequencies of today.

        `newest_id`: the id of the newest article.
        """
        with self._engine.begin() as connection:
            rows = outdated.oldest(connection, BATCH)
            newest = outdated.newest_day(connection) if rows and self._basis is None else None
        if not rows:
            self._past = self._linking.follower = None
            self._lease.renew()
            return 0
        basis = self._basis or self._open(newest or date.min)
        if not self._is_bootstrap(basis, newest_id):
            self._set_completed_frequencies(basis)
        elif self._bootstrap_day is None:
            self._bootstrap_day = self._begin_bootstrap_day(basis, max_pages=None)
        times = [time_of(row) for row in rows]
        return self._linking_of(min(times), max(times)).link([row.id for row in rows], mark="linked")

    def _linking_of(self, first: float, last: float) -> BatchLinking:
        """Return the linking for articles of a time. Older ones than the window holds get another window.

        So the window need not be loaded again for each article that arrives meanwhile.
        """
        if self._window.is_empty or self._window.covers(first, last):
            return self._linking
        if self._past is None or self._past.weights is not self._linking.weights:
            window = Window(self._max_articles // 2, self._linking.weights)
            self._past = BatchLinking(self._engine, self._lease, window, self._rules)
            self._linking.follower = window
        return self._past

    def _begin_bootstrap_day(self, basis: IdfBasis, *, max_pages: int | None = _COUNTED_PAGES) -> BootstrapDay:
        """Return the frequencies known so far: those of completed days, and of today's arrivals on the first pages."""
        today = count_arrivals(self._engine, self._lease, basis.day, max_pages=max_pages)
        day = BootstrapDay(basis.with_today(today))
        self._set_frequencies(day)
        return day

    def _set_completed_frequencies(self, basis: IdfBasis) -> None:
        if not self._has_completed_frequencies:
            self._window.set_frequencies(basis.completed)
            self._has_completed_frequencies = True

    def _set_frequencies(self, day: BootstrapDay) -> None:
        self._window.set_frequencies(day.frequencies)
        self._has_completed_frequencies = False

    def _link_provisionally(self, basis: IdfBasis, day: BootstrapDay, rows: Sequence[StoredVersion]) -> int:
        """Link pending articles with the frequencies known so far."""

        def count(features: Features) -> None:
            # While a pass runs, its weights stay.
            if day.add(features) and self._pass is None:
                self._set_frequencies(day)

        if any(_day_of(row) <= basis.day for row in rows):
            day.record_arrival()
        ids = [row.id for row in rows]
        if len(rows) == BATCH:  # more articles wait
            return self._linking.link_by_score(ids, on_features=count)
        return self._linking.link(ids, mark="provisional", on_features=count)

    def _link_again(self, basis: IdfBasis, day: BootstrapDay, *, force: bool) -> int:
        """Do the next part of a pass over the day, or with `force` all of a new one; return how many articles it had."""
        if self._pass is None or force:
            self._pass = BootstrapPass(self._engine, self._lease, self._linking, self._window, basis, day)
            self._has_completed_frequencies = False
        now, self._pass = self._pass, None  # an error ends the pass
        done = part = now.advance()
        while force and part is not None:
            part = now.advance()
            done = (done or 0) + (part or 0)
        if part is not None:
            self._pass = now
            return part
        day.record_pass(now.seconds)
        log.info("The day's articles are linked", day=str(basis.day), seconds=round(now.seconds, 2))
        return done or 0


def _day_of(row: StoredVersion) -> date:
    return row.changed_at.date()


def _until(day: date, rows: Sequence[StoredVersion]) -> list[StoredVersion]:
    return [row for row in rows if _day_of(row) <= day]


__all__ = ["LEASE_SECONDS", "ROLE", "Linker"]
