"""Finds the links of a batch of articles, and writes them with the stories that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from worker.heat_rules import AllRules
from worker.linking.index import Neighbour
from worker.linking.lease import Lease
from worker.linking.link_writer import LinkedArticles, add, revise
from worker.linking.pairs.evidence import CANDIDATE_SCORE, STRONG_SCORE, may_be_one_event
from worker.linking.pairs.link_choices import MAX_LINKS, choose_links
from worker.linking.pairs.similar_links import PairLinks, Text
from worker.linking.segment import WINDOW_DAYS, Found
from worker.linking.stored_rows import StoredArticle
from worker.linking.texts.features import Features, features_of_all, features_of_parts
from worker.linking.weights import Weights
from worker.linking.window import Window, in_reach, linkable, site_of
from worker.store.engine import writer
from worker.store.linking import compared_articles, link_states, links
from worker.store.linking.compared_articles import time_of
from worker.store.linking.links import ArticleLink

BATCH = 300  # articles per transaction; 100 pay more for each statement, and 600 gain nothing
_MAX_NEIGHBOURS = 300
"""Candidates of an article that are compared with it, of those that may be linked: the best ones."""
_PROVISIONAL_DAYS = 3
"""Days between two articles that are linked by their score alone. Most reports of one event are hours apart, and a backlog
that came in the order of time is compared with a fifth of the window then."""

OnFeatures = Callable[[Features], None]


class BatchLinking:
    """Links articles with the frequencies that `window` has. `rules` are those for the heat of stories.

    `follower`: another window that gets the articles which are linked here, so that it holds their new versions.
    """

    def __init__(self, engine: Engine, lease: Lease, window: Window, rules: AllRules) -> None:
        self._engine = engine
        self._lease = lease
        self._window = window
        self._rules = rules
        self.follower: Window | None = None

    @property
    def weights(self) -> Weights:
        """The weights of the features."""
        return self._window.index.weights

    def link(self, ids: Sequence[int], *, mark: str | None, on_features: OnFeatures = lambda _: None) -> int:
        """Find and write the links and stories of these articles.

        `mark`: the link state that they get. With `linked`, the links to articles that are provisional still are left to
        these: each pair is found once. `on_features` gets the features of each part before its links are searched.
        Returns how many articles were still unchanged when they were written.
        """
        compared = link_states.IS_COMPARED_FOR_GOOD if mark == "linked" else link_states.WAS_SEEN
        return sum(self._link_part(part, mark, on_features) for part in self._parts(ids, compared))

    def link_by_score(self, ids: Sequence[int], *, on_features: OnFeatures = lambda _: None) -> int:
        """Link these articles provisionally, by their scores alone: a third of the time that `link` takes.

        No texts of other articles are read, and no link is removed. The parameter and the result are those of `link`.
        """
        return sum(self._link_part_by_score(part, on_features) for part in self._parts(ids, link_states.WAS_SEEN))

    def forget_provisional(self) -> None:
        """Remove the articles that are provisional from the window. They come again when they are linked for good."""
        with self._engine.begin() as connection:
            self._window.index.remove(link_states.provisional_ids(connection))

    def _parts(self, ids: Sequence[int], compared: ColumnElement[bool]) -> Iterator[list[StoredArticle]]:
        """Yield the articles in the order of their times, one part within reach of the window at a time.

        `compared`: the condition for the articles that the window holds.
        """
        with self._engine.begin() as connection:
            by_id = compared_articles.compared(connection, ids)
        left = sorted((time_of(row), row.id) for row in by_id.values())
        while left:
            is_covered = self._window.covers(left[0][0], left[-1][0])
            reach = len(left) if is_covered else in_reach(left)
            part, left = left[:reach], left[reach:]
            if not is_covered:
                with self._engine.begin() as connection:
                    # An article that was never linked comes later, and then finds those that were: each pair is found once.
                    self._window.cover(connection, part[0][0], part[-1][0], self._lease.renew, compared)
            yield [by_id[id_] for _, id_ in part]
        self._window.trim()

    def _link_part(self, rows: Sequence[StoredArticle], mark: str | None, on_features: OnFeatures) -> int:
        visible = linkable(rows)
        texts = {row.id: _text_of(row) for row in visible}
        features = features_of_parts([part for text in texts.values() for part in text.parts])
        self._put(rows, features)
        on_features(features)
        links_of = self._find_links(visible, texts, self._possible(visible, features))
        with writer(self._engine) as connection, connection.begin():
            now = self._lease.confirm(connection)
            hashes, others = _read_again(connection, rows, links_of)
            revise(connection, LinkedArticles(hashes, links_of, others, mark, now), self._rules)
        return len(hashes)

    def _link_part_by_score(self, rows: Sequence[StoredArticle], on_features: OnFeatures) -> int:
        visible = linkable(rows)
        features = features_of_all([(row.title, row.excerpt) for row in visible])
        self._put(rows, features)
        on_features(features)
        near = self._neighbours(visible, features, floor=STRONG_SCORE, limit=MAX_LINKS, days=_PROVISIONAL_DAYS)
        links_of = {row.id: list(map(_link_of_score, found)) for row, found in zip(visible, near, strict=True)}
        with writer(self._engine) as connection, connection.begin():
            now = self._lease.confirm(connection)
            hashes, others = _read_again(connection, rows, links_of)
            gone = {id_: hash_ for id_, hash_ in hashes.items() if id_ not in links_of}
            if gone:
                revise(connection, LinkedArticles(gone, {}, {}, "provisional", now), self._rules)
            remaining = {id_: hash_ for id_, hash_ in hashes.items() if id_ in links_of}
            add(connection, LinkedArticles(remaining, links_of, others, "provisional", now), self._rules)
        return len(hashes)

    def _put(self, rows: Sequence[StoredArticle], features: Features) -> None:
        self._window.put(rows, features)
        if self.follower is not None:
            self.follower.put(rows, features)

    def _possible(self, rows: Sequence[StoredArticle], features: Features) -> dict[int, list[Neighbour]]:
        """Return the candidates of each article that may be linked, as far as can be told without their texts."""
        near = self._neighbours(
            rows,
            features,
            floor=CANDIDATE_SCORE,
            limit=_MAX_NEIGHBOURS,
            is_candidate=lambda found: may_be_one_event(found.scores, found.shared, found.days),
        )
        return {row.id: found for row, found in zip(rows, near, strict=True)}

    def _neighbours(
        self,
        rows: Sequence[StoredArticle],
        features: Features,
        *,
        floor: float,
        limit: int,
        days: float = WINDOW_DAYS,
        is_candidate: Callable[[Found], NDArray[np.bool_]] | None = None,
    ) -> list[list[Neighbour]]:
        return self._window.index.neighbours(
            [row.id for row in rows],
            [time_of(row) for row in rows],
            features,
            floor=floor,
            limit=limit,
            days=days,
            sites=[site_of(row) for row in rows],
            is_candidate=is_candidate,
        )

    def _find_links(
        self, rows: Sequence[StoredArticle], texts: dict[int, Text], possible: Mapping[int, Sequence[Neighbour]]
    ) -> dict[int, list[ArticleLink]]:
        """Return the links of articles, whose texts are in `texts`; those of their candidates are read."""
        involved = {other.id for found in possible.values() for other in found}
        others = involved - texts.keys()
        involved.update(id_ for id_, found in possible.items() if found)
        with self._engine.begin() as connection:
            compared = compared_articles.compared(connection, others)
            twins = links.twins(connection, {row.url_hash: row.id for row in rows})
            chosen = links.chosen_by_others(connection, possible)
        read = {row.id: _text_of(row) for row in compared.values()}
        own = {id_: text for id_, text in texts.items() if id_ in involved}
        hash_of = {row.id: row.url_hash for row in (*rows, *compared.values())}
        return choose_links(possible, PairLinks({**own, **read}, self.weights.each), twins, chosen, hash_of)


def _read_again(
    connection: Connection, rows: Sequence[StoredArticle], links_of: Mapping[int, Sequence[ArticleLink]]
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Return id → url_hash of the articles that have not changed meanwhile, and of the other ends that have content."""
    ends = {link.other for found in links_of.values() for link in found}
    return link_states.unchanged(connection, {row.id: row.changed_at for row in rows}, ends)


def _text_of(row: StoredArticle) -> Text:
    return Text(row.title, row.excerpt, row.provider_id, time_of(row))


def _link_of_score(found: Neighbour) -> ArticleLink:
    return ArticleLink(found.id, "similar", found.score, "score alone (provisional)")
