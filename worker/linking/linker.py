"""Takes pending articles (`link_state`), finds similar ones, and writes links and stories.

One process at a time does this (`store.leader`). Every writing transaction checks that this process still leads. It is
short, with at most `_BATCH` articles, because ingest waits for it. All state is in the store: a leader that crashes
loses nothing, and the next one continues with the articles that wait. Transactions that only read commit too, because a
rollback drops all prepared statements.

Pending articles are always linked first. On a bootstrap day (see `idf_basis.py`) they are linked *provisionally*, with
the frequencies known so far, and wait in the state `provisional`. When arrivals pause or the day is over, all articles
of the day are linked again with the frequencies of all its arrivals, in parts that pending articles interrupt. Only
this last result does not depend on the order of arrival.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.heat_rules import AllRules
from worker.linking.bootstrap_day import BootstrapDay
from worker.linking.evidence import CANDIDATE_SCORE
from worker.linking.link_writer import revise
from worker.linking.similar_links import STORY_KINDS, PairLinks, Text
from worker.linking.stored_rows import StoredArticle, StoredVersion
from worker.linking.texts.features import Features, features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.linking.texts.idf_basis import IdfBasis
from worker.linking.window import Window, in_reach
from worker.store import leader, links
from worker.store.clock import store_time
from worker.store.engine import enter_writer, writer
from worker.store.links import Tie, time_of
from worker.telemetry.logs import get_logger

log = get_logger("link")

ROLE = "linker"
LEASE_SECONDS = 6.0
"""Another process may lead this long after the leader's last renewal. Every writing transaction renews the lease."""
_RENEW_SECONDS = 1.0
_BATCH = 300  # articles per transaction; 100 pay more for each statement, and 600 gain nothing
_MAX_NEIGHBOURS = 300
_DEFAULT_RULES = AllRules()
_COUNTED_PAGES = 10
"""Pages of the day's articles that are counted before the first are linked provisionally; all would take seconds."""


class Linker:
    """The work of the leader, which holds the fencing token `token`.

    `window` is how many articles are held in memory. `rules` are those for the heat of stories.
    """

    def __init__(self, engine: Engine, *, token: int, window: int, rules: AllRules = _DEFAULT_RULES) -> None:
        self._engine = engine
        self._token = token
        self._window = Window(window)
        self._rules = rules
        self._basis: IdfBasis | None = None
        self._bootstrap_day: BootstrapDay | None = None
        self._has_completed_frequencies = False
        self._renewed = time.monotonic()
        self._pass: Iterator[int] | None = None
        self._pass_seconds = 0.0
        self._newest_day = date.min
        self._seen = date.min, 0, 0
        """(day, articles that had arrived on it, the newest article's id at that moment), for `_is_bootstrap`."""

    def step(self, *, force: bool = False) -> int:
        """Link a bounded number of articles; return how many, or 0 if there is nothing to do now.

        `force` links the articles of a bootstrap day at once as if arrivals had paused, however many they are. Raises
        NoLongerLeader and SQLAlchemy's errors.
        """
        with self._engine.begin() as connection:
            rows = links.pending(connection, _BATCH)
            again = links.pending(connection, _BATCH, links.IS_PROVISIONAL)
        if not rows and not again:
            self.renew_lease()
            return 0
        self._newest_day = max(self._newest_day, *(_day_of(row) for row in (*rows, *again)))
        basis = self._open(min(_day_of(part[0]) for part in (rows, again) if part))
        is_known = self._bootstrap_day is not None and (bool(rows) or self._pass is not None) and not force
        if not is_known and not self._is_bootstrap(basis):
            return self._link_for_good(basis, _until(basis.day, rows) or _until(basis.day, again))
        if self._bootstrap_day is None:
            self._bootstrap_day = self._begin_bootstrap_day(basis)
        if rows and not force:
            return self._link_provisionally(basis, self._bootstrap_day, rows)
        if force or self._pass is not None or self._newest_day > basis.day or self._bootstrap_day.is_due():
            return self._link_again(basis, self._bootstrap_day, force=force)
        self.renew_lease()
        return 0

    def _is_bootstrap(self, basis: IdfBasis) -> bool:
        """Whether the day of `basis` is a bootstrap day. Counts arrivals only if new ones may change the answer."""
        with self._engine.begin() as connection:
            newest = links.newest_id(connection)
            day, seen, until = self._seen
            if day == basis.day and not basis.is_bootstrap(seen + newest - until):
                return False
            self._seen = basis.day, links.seen_first(connection, basis.day), newest
            return basis.is_bootstrap(links.arrived(connection, basis.day, STORY_KINDS))

    def renew_lease(self) -> None:
        """Renew the leader's lease, at most once a second, while there is nothing to write. Raises NoLongerLeader."""
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            leader.renew(self._engine, ROLE, self._token, seconds=LEASE_SECONDS)
            self._renewed = time.monotonic()

    def _open(self, day: date) -> IdfBasis:
        """Return the frequencies for a day. Count and store those of earlier days first where they are missing.

        A day that was left is not opened again: the clock of another machine may be behind.
        """
        if self._basis is not None and self._basis.day >= day:
            return self._basis
        basis = IdfBasis(day, Frequencies())
        with self._engine.begin() as connection:
            stored = {row.day for row in links.completed_days(connection, day)}
            missing = links.uncounted_days(connection, basis.oldest_day(), day, stored)
        for one in missing:
            self._count_day(one)
        with self._engine.begin() as connection:
            for row in links.completed_days(connection, day):
                if row.day >= basis.oldest_day():
                    basis.completed.merge(Frequencies.load(row.documents, row.counts))
        self._basis, self._has_completed_frequencies = basis, False
        self._bootstrap_day = self._pass = None
        log.info("A day of arrival begins", day=str(day), completed_documents=basis.completed.documents)
        return basis

    def _count_day(self, day: date) -> Frequencies:
        counted = Frequencies()
        for page in self._pages(links.arrivals(day, STORY_KINDS)):
            counted.add(_features_of(page))
            self.renew_lease()
        with writer(self._engine) as connection, connection.begin():
            leader.confirm(connection, ROLE, self._token, seconds=LEASE_SECONDS)
            links.keep_day(connection, day, counted.documents, counted.dump())
            links.forget_days(connection, day - timedelta(days=400))
        return counted

    def _pages(self, where: Sequence[ColumnElement[bool]]) -> Iterator[Sequence[StoredArticle]]:
        """Yield the articles that match `where` in pages, each in a transaction of its own."""
        after = 0
        while True:
            with self._engine.begin() as connection:
                page: Sequence[Any] | None = next(links.pages(connection, where, after=after), None)
            if page is None:
                return
            yield page
            after = page[-1].id

    def _link_for_good(self, basis: IdfBasis, rows: Sequence[StoredVersion]) -> int:
        """Link articles with the frequencies of completed days."""
        if not self._has_completed_frequencies:
            self._window.set_frequencies(basis.completed)
            self._has_completed_frequencies = True
        self._bootstrap_day = self._pass = None
        return self._link([row.id for row in rows], mark="linked")

    def _begin_bootstrap_day(self, basis: IdfBasis) -> BootstrapDay:
        """Return the frequencies known so far: those of completed days, and of today's first arrivals."""
        today = Frequencies()
        for page in islice(self._pages(links.arrivals(basis.day, STORY_KINDS)), _COUNTED_PAGES):
            today.add(_features_of(page))
            self.renew_lease()
        day = BootstrapDay(basis.with_today(today))
        self._set_frequencies(day)
        return day

    def _set_frequencies(self, day: BootstrapDay) -> None:
        self._window.set_frequencies(day.frequencies)
        self._has_completed_frequencies = False

    def _link_provisionally(self, basis: IdfBasis, day: BootstrapDay, rows: Sequence[StoredVersion]) -> int:
        """Link pending articles with the frequencies known so far."""
        if any(_day_of(row) <= basis.day for row in rows):
            day.record_arrival()
        return self._link([row.id for row in rows], mark="provisional")

    def _link_again(self, basis: IdfBasis, day: BootstrapDay, *, force: bool) -> int:
        """Do the next part of `_link_day`, or with `force` all of it; return how many articles that was.

        An error ends the pass. The articles are still provisional then, so a new pass begins.
        """
        if self._pass is None or force:
            self._pass, self._pass_seconds = self._link_day(basis, day), 0.0
        parts, self._pass = self._pass, None
        began, done = time.monotonic(), 0
        for part in parts:
            self.renew_lease()
            done += part
            if not force:
                self._pass = parts
                break
        self._pass_seconds += time.monotonic() - began
        if self._pass is None:
            day.record_pass(self._pass_seconds)
            log.info("The day's articles are linked", day=str(basis.day), seconds=round(self._pass_seconds, 2))
        return done

    def _link_day(self, basis: IdfBasis, day: BootstrapDay) -> Iterator[int]:
        """Link the articles of a bootstrap day with the frequencies of all its arrivals, and mark them as linked.

        Yields after each part how many articles it was. Articles that change meanwhile stay pending or provisional, so
        that another pass follows: the versions are read before the frequencies are counted.
        """
        seen: dict[int, tuple[float, datetime]] = {}
        for page in self._pages(links.changed_on(basis.day)):
            seen.update({row.id: (time_of(row), row.changed_at) for row in page})
            yield len(page)
        with self._engine.begin() as connection:
            for state in (links.IS_PENDING, links.IS_PROVISIONAL):
                for row in links.pending(connection, 1_000_000, state):
                    if _day_of(row) < basis.day:
                        seen.setdefault(row.id, (0.0, row.changed_at))
        today = Frequencies()
        for page in self._pages(links.arrivals(basis.day, STORY_KINDS)):
            today.add(_features_of(page))
            yield len(page)
        day.recount(basis.with_today(today))
        self._set_frequencies(day)
        order = sorted((moment, id_) for id_, (moment, _) in seen.items())
        for start in range(0, len(order), _BATCH):
            yield self._link([id_ for _, id_ in order[start : start + _BATCH]], mark=None)
        for start in range(0, len(order), _BATCH * 10):
            part = {id_: seen[id_][1] for _, id_ in order[start : start + _BATCH * 10]}
            yield len(part)
            with writer(self._engine) as connection, connection.begin():
                self._confirm(connection)
                links.mark_linked(connection, links.unchanged(connection, part))

    def _confirm(self, connection: Connection) -> None:
        enter_writer(connection)
        leader.confirm(connection, ROLE, self._token, seconds=LEASE_SECONDS)
        self._renewed = time.monotonic()

    def _link(self, ids: Sequence[int], *, mark: str | None) -> int:
        """Find and write the links and stories of these articles, one part within reach of the window at a time.

        `mark`: the link state that they get. Returns how many articles were still unchanged when they were written.
        """
        with self._engine.begin() as connection:
            by_id = links.compared(connection, ids)
        done = 0
        left = sorted((time_of(row), row.id) for row in by_id.values())
        while left:
            reach = len(left) if self._window.covers(left[0][0], left[-1][0]) else in_reach(left)
            part, left = left[:reach], left[reach:]
            with self._engine.begin() as connection:
                self._window.cover(connection, part[0][0], part[-1][0], self.renew_lease)
            done += self._link_part([by_id[id_] for _, id_ in part], mark=mark)
        self._window.trim()
        return done

    def _link_part(self, rows: Sequence[StoredArticle], *, mark: str | None) -> int:
        visible, features = self._window.put(rows)
        day = self._bootstrap_day
        if mark == "provisional" and day is not None and day.add(features) and self._pass is None:
            self._set_frequencies(day)
        near = self._window.index.neighbours(
            [row.id for row in visible],
            [time_of(row) for row in visible],
            features,
            floor=CANDIDATE_SCORE,
            limit=_MAX_NEIGHBOURS,
        )
        similar = {row.id: scores for row, scores in zip(visible, near, strict=True)}
        with self._engine.begin() as connection:
            others = links.compared(connection, {other for scores in similar.values() for other, _ in scores})
            twins = links.twins(connection, {row.url_hash: row.id for row in visible})
        texts = {
            row.id: Text(row.title, row.excerpt, row.provider_id, time_of(row)) for row in (*others.values(), *rows)
        }
        pairs = PairLinks(texts, self._window.index.weights.each)
        ties = {id_: _ties(id_, scores, pairs, twins) for id_, scores in similar.items()}
        with writer(self._engine) as connection, connection.begin():
            self._confirm(connection)
            hashes = links.unchanged(connection, {row.id: row.changed_at for row in rows})
            revise(connection, hashes, ties, store_time(connection), self._rules)
            if mark is not None:
                links.mark_linked(connection, hashes, mark)
        return len(hashes)


def _ties(id_: int, similar: Sequence[tuple[int, float]], pairs: PairLinks, twins: set[tuple[int, int]]) -> list[Tie]:
    """Return the links of an article.

    `similar` are its (id, score) from the index. `twins` are pairs of ids of the same article.
    """
    same = {other for pair in twins if id_ in pair for other in pair} - {id_}
    ties = [Tie(other, "duplicate", 1.0, "the same article at another address") for other in sorted(same)]
    for other, score in similar:
        decided = None if other in same else pairs.decide(id_, other, score)
        if decided is not None:
            ties.append(Tie(other, decided[0], score, decided[1]))
    return ties


def _day_of(row: StoredVersion) -> date:
    return row.changed_at.date()


def _until(day: date, rows: Sequence[StoredVersion]) -> list[StoredVersion]:
    return [row for row in rows if _day_of(row) <= day]


def _features_of(rows: Sequence[StoredArticle]) -> Features:
    return features_of_all([(row.title, row.excerpt) for row in rows])


__all__ = ["LEASE_SECONDS", "ROLE", "Linker"]
