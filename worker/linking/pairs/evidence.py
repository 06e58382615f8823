"""A second look at two similar articles: what speaks for one event, and what speaks against it.

The cosine of two texts (the score) finds candidates. It cannot tell two reports of one event from two guides to one
subject, or from two reports that follow one pattern ("Italy reports 627 new cases", "Spain reports 832 new cases"),
whose cosine is even higher. So the amount of what both articles contain, the days between them, conflicts of their
titles and the kind of text count too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.conflicts import Conflict

CANDIDATE_SCORE = 0.15
"""The smallest score (cosine) at which two articles are compared."""
FOREIGN_SCORE = 0.20
"""The same for other scripts than Latin: their function words are known by their frequency alone, which takes time."""
CASELESS_SCORE = 0.30
"""The same for scripts without capital letters: names cannot conflict, and pairs of characters are alike by chance."""
STRONG_SCORE = 0.40
"""The smallest score at which a copied text is linked whatever else speaks against it."""

WEIGHTS = (3.48, 1.89, 0.88, -1.61, -4.38, -3.49)
"""The intercept, and the weights of score, shared words, days, conflict and text of reference: of a logistic regression
(`python -m tests.benchmarks.evidence`) over 1,050 pairs of two collections and 140 of our own, judged by reading them."""
_LEAST_LOG_ODDS = 2.2
"""From here on two articles are linked; it is a probability of 0.9."""
_SPARE = 1e-9  # tolerance for rounding, so that `may_be_one_event` leaves out no pair that is linked


@dataclass(slots=True)
class Evidence:
    """What speaks for and against one event.

    `shared`: the sum of the idf (natural logarithm) of all words that both articles contain. `days` lie between them.
    `has_reference`: whether a title announces a guide or a report on a market. `conflicts` are those of the titles.
    `least_score`: the smallest score at which articles in their script are linked.
    """

    score: float
    shared: float
    days: float
    has_reference: bool = False
    conflicts: list[Conflict] = field(default_factory=list)
    least_score: float = CANDIDATE_SCORE

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
        return self.score >= self.least_score and self.log_odds >= _LEAST_LOG_ODDS

    @property
    def against(self) -> list[str]:
        """What speaks against one event, as text."""
        return [
            *(f"{left} / {right}" for left, right in self.conflicts),
            *(["guide or market report"] if self.has_reference else []),
        ]


def may_be_one_event(
    scores: NDArray[np.float64], shared: NDArray[np.float64], days: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which pairs may be one event, or copies, as far as can be told without their texts."""
    intercept, score, per_shared, per_days, _, _ = WEIGHTS
    log_odds = (
        intercept
        + score * np.log(np.maximum(scores, CANDIDATE_SCORE))
        + per_shared * np.log1p(shared)
        + per_days * np.log1p(days)
    )
    is_one_event: NDArray[np.bool_] = (scores >= CANDIDATE_SCORE) & (log_odds >= _LEAST_LOG_ODDS - _SPARE)
    return is_one_event | (scores >= STRONG_SCORE)
