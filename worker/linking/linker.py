"""Takes pending articles (`link_state`), finds similar ones, and writes links and stories.

One process at a time does this (`store.leader`). Every writing transaction checks that this process still leads. It is
short, with at most `_BATCH` articles, because ingest waits for it. All state is in the store: a leader that crashes
loses nothing, and the next one continues with the articles that are still `pending`. Transactions that only read commit
too, because a rollback drops all prepared statements.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from worker.heat_rules import AllRules
from worker.linking.evidence import CANDIDATE_SCORE
from worker.linking.features import features_of_all
from worker.linking.frequencies import Frequencies
from worker.linking.idf_basis import IdfBasis
from worker.linking.link_writer import revise
from worker.linking.similar_links import STORY_KINDS, PairLinks, Text
from worker.linking.stored_rows import StoredArticle, StoredVersion
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
_QUIET_SECONDS = 0.5
_PASS_SHARE = 20  # linking the articles of a bootstrap day again takes at most about 1/20 of the time


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
        self._has_completed_frequencies = False
        self._renewed = time.monotonic()
        self._waiting: tuple[int, datetime | None] | None = None
        self._waiting_since = self._waiting_began = 0.0
        self._pass_seconds = 0.0
        self._seen = date.min, 0, 0
        """(day, articles that had arrived on it, the newest article's id at that moment), for `_is_bootstrap`."""

    def step(self, *, force: bool = False) -> int:
        """Link a bounded number of the pending articles; return how many were linked and are no longer pending.

        `force` does not wait for a pause of arrivals on a bootstrap day. Raises NoLongerLeader and SQLAlchemy's errors.
        """
        with self._engine.begin() as connection:
            rows = links.pending(connection, _BATCH)
            if not rows:
                self._waiting = None
                self.renew_lease()
                return 0
            day = _day_of(rows[0])
            if self._basis is not None:
                day = max(day, self._basis.day)  # another machine's clock may be behind
            basis = self._open(day)
            bootstrap = self._is_bootstrap(connection, basis)
            waiting = links.waiting(connection) if bootstrap else (0, None)
        if not bootstrap:
            return self._link_waiting(basis, [row for row in rows if _day_of(row) <= day])
        if not force and not self._is_quiet(waiting):
            self.renew_lease()
            return 0
        return self._link_day(basis)

    def _is_bootstrap(self, connection: Connection, basis: IdfBasis) -> bool:
        """Whether the day of `basis` is a bootstrap day. Counts arrivals only if new ones may change the answer."""
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
        """Return the frequencies for a day. Count and store those of earlier days first where they are missing."""
        if self._basis is not None and self._basis.day == day:
            return self._basis
        with self._engine.begin() as connection:
            stored = {row.day for row in links.completed_days(connection, day)}
            missing = links.uncounted_days(connection, day, stored)
        basis = IdfBasis(day, Frequencies())
        for one in missing:
            if one >= basis.oldest_day():
                self._count_day(one)
        with self._engine.begin() as connection:
            for row in links.completed_days(connection, day):
                if row.day >= basis.oldest_day():
                    basis.completed.merge(Frequencies.load(row.documents, row.counts))
        self._basis, self._has_completed_frequencies = basis, False
        log.info("A day of arrival begins", day=str(day), completed_documents=basis.completed.documents)
        return basis

    def _count_day(self, day: date) -> Frequencies:
        counted = Frequencies()
        with self._engine.begin() as connection:
            for page in links.pages(connection, links.arrivals(day, STORY_KINDS)):
                counted.add(features_of_all([(row.title, row.excerpt) for row in page]))
                self.renew_lease()
        with writer(self._engine) as connection, connection.begin():
            leader.confirm(connection, ROLE, self._token, seconds=LEASE_SECONDS)
            links.keep_day(connection, day, counted.documents, counted.dump())
            links.forget_days(connection, day - timedelta(days=400))
        return counted

    def _link_waiting(self, basis: IdfBasis, rows: Sequence[StoredVersion]) -> int:
        if not self._has_completed_frequencies:
            self._window.set_frequencies(basis.completed)
            self._has_completed_frequencies = True
        with self._engine.begin() as connection:
            articles = links.compared(connection, [row.id for row in rows])
        return self._link(list(articles.values()), mark=True)

    def _is_quiet(self, waiting: tuple[int, datetime | None]) -> bool:
        """Whether arrivals have paused, or the pending articles have waited long enough."""
        now = time.monotonic()
        if self._waiting is None:
            self._waiting_began = now
        if self._waiting != waiting:
            self._waiting, self._waiting_since = waiting, now
        quiet = now - self._waiting_since > _QUIET_SECONDS + 2 * self._pass_seconds
        return quiet or now - self._waiting_began > 1 + _PASS_SHARE * self._pass_seconds

    def _link_day(self, basis: IdfBasis) -> int:
        """Count all arrivals of a bootstrap day, link the day's articles with these frequencies and mark them linked.

        Returns how many were marked; articles that changed meanwhile stay pending.
        """
        began = time.monotonic()
        today = Frequencies()
        with self._engine.begin() as connection:
            seen: dict[int, tuple[float, datetime]] = {}
            for page in links.pages(connection, links.arrivals(basis.day, STORY_KINDS)):
                today.add(features_of_all([(row.title, row.excerpt) for row in page]))
                self.renew_lease()
            for page in links.pages(connection, links.changed_on(basis.day)):
                seen.update({row.id: (time_of(row), row.changed_at) for row in page})
                self.renew_lease()
            for row in links.pending(connection, 1_000_000):
                if _day_of(row) < basis.day and row.id not in seen:
                    seen[row.id] = (0.0, row.changed_at)
        self._window.set_frequencies(basis.with_today(today))
        self._has_completed_frequencies = False
        order = sorted((moment, id_) for id_, (moment, _) in seen.items())
        for start in range(0, len(order), _BATCH):
            with self._engine.begin() as connection:
                articles = links.compared(connection, [id_ for _, id_ in order[start : start + _BATCH]])
            self._link(list(articles.values()), mark=False)
        done = 0
        for start in range(0, len(order), _BATCH * 10):
            part = {id_: seen[id_][1] for _, id_ in order[start : start + _BATCH * 10]}
            with writer(self._engine) as connection, connection.begin():
                self._confirm(connection)
                same = links.unchanged(connection, part)
                links.mark_linked(connection, same)
                done += len(same)
        self._waiting = None
        self._pass_seconds = time.monotonic() - began
        log.info(
            "The day's articles are linked", day=str(basis.day), articles=done, seconds=round(self._pass_seconds, 2)
        )
        return done

    def _confirm(self, connection: Connection) -> None:
        enter_writer(connection)
        leader.confirm(connection, ROLE, self._token, seconds=LEASE_SECONDS)
        self._renewed = time.monotonic()

    def _link(self, rows: Sequence[StoredArticle], *, mark: bool) -> int:
        """Find and write the links and stories of these articles, one part within reach of the window at a time.

        `mark` also marks the articles as linked. Returns how many were still unchanged when they were written.
        """
        done = 0
        left = sorted((time_of(row), row.id) for row in rows)
        by_id = {row.id: row for row in rows}
        while left:
            reach = len(left) if self._window.covers(left[0][0], left[-1][0]) else in_reach(left)
            part, left = left[:reach], left[reach:]
            with self._engine.begin() as connection:
                self._window.cover(connection, part[0][0], part[-1][0], self.renew_lease)
            done += self._link_part([by_id[id_] for _, id_ in part], mark=mark)
        self._window.trim()
        return done

    def _link_part(self, rows: Sequence[StoredArticle], *, mark: bool) -> int:
        visible, features = self._window.put(rows)
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
            if mark:
                links.mark_linked(connection, hashes)
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


__all__ = ["LEASE_SECONDS", "ROLE", "Linker"]
