"""A second look at two similar articles: what speaks for one event, and what speaks against it.

The cosine of two texts (the score) finds candidates. It cannot tell two reports of one event from two guides to one
subject, or from two reports that follow one pattern ("Italy reports 627 new cases", "Spain reports 832 new cases"),
whose cosine is even higher. So the amount of what both articles contain, the days between them, conflicts of their
titles and the kind of text count too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from worker.linking.conflicts import Conflict

CANDIDATE_SCORE = 0.15
"""The smallest score (cosine) at which two articles are compared."""
CASELESS_SCORE = 0.30
"""Where a script has no capital letters, names cannot conflict, and pairs of characters are alike by chance."""
STRONG_SCORE = 0.40
"""The smallest score at which a copied text is linked whatever else speaks against it."""

WEIGHTS = (2.68, 1.76, 1.08, -1.61, -4.63, -3.40)
"""The intercept, and the weights of score, shared words, days, conflict and text of reference: of a logistic regression
(`python -m tests.benchmarks.evidence`) over 950 pairs of two collections and 140 of our own, judged by reading them."""
_LEAST_LOG_ODDS = 2.0
"""From here on two articles are linked; it is a probability of 0.88."""


@dataclass(slots=True)
class Evidence:
    """What speaks for and against one event.

    `shared`: the sum of the idf (natural logarithm) of all words that both articles contain. `days` lie between them.
    `has_reference`: whether a title announces a guide or a report on a market. `conflicts` are those of the titles.
    """

    score: float
    shared: float
    days: float
    has_reference: bool = False
    conflicts: list[Conflict] = field(default_factory=list)
    is_caseless: bool = False

    @property
    def log_odds(self) -> float:
        """The logarithm of the odds that both articles report one event."""
        intercept, score, shared, days, conflict, reference = WEIGHTS
        return (
            intercept
            + score * math.log(max(self.score, CANDIDATE_SCORE))
            + shared * math.log1p(self.shared)
            + days * math.log1p(self.days)
            + conflict * bool(self.conflicts)
            + reference * self.has_reference
        )

    @property
    def is_one_event(self) -> bool:
        """Whether two articles are linked."""
        return (
            self.score >= (CASELESS_SCORE if self.is_caseless else CANDIDATE_SCORE) and self.log_odds >= _LEAST_LOG_ODDS
        )

    @property
    def against(self) -> list[str]:
        """What speaks against one event, as text."""
        return [
            *(f"{left} / {right}" for left, right in self.conflicts),
            *(["guide or market report"] if self.has_reference else []),
        ]
