"""What a search of the index compares: the fields of articles, and texts as unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.linking.texts.features import Features
from worker.linking.weights import Weights

ARTICLE = np.dtype(
    [(name, "f8" if name in {"time", "version"} else "i8") for name in ("id", "time", "version", "site", "title")]
)
"""What the index keeps of an article. `site`: a number that is equal for articles of one site, 0 if it is not known. `title`:
a number that is equal for equal titles. `version`: the caller's number (see `Index.versions_of`)."""

Articles = NDArray[np.void]
"""An array of `ARTICLE`."""


class Query:
    """Texts to search for, as unit vectors under `weights`. Each entry is also multiplied by the feature's weight.

    The second factor is the weight of the feature in the other text, so a search multiplies only with its counts.
    """

    def __init__(self, articles: Articles, features: Features, weights: Weights) -> None:
        self.times, self.sites, self.titles = articles["time"], articles["site"], articles["title"]
        rows = features.rows()
        each, numbers = weights.of(features.buckets)
        each = each.astype(np.float64)
        lengths = features.counts * each
        norms = np.sqrt(np.bincount(rows, lengths * lengths, len(features)))
        values = np.divide(lengths * each, norms[rows], out=np.zeros(len(rows)), where=norms[rows] > 0)
        frequent = numbers != weights.none
        parts = np.bincount(rows[frequent], lengths[frequent] ** 2, len(features))
        self.share = np.sqrt(np.divide(parts, norms**2, out=np.zeros(len(norms)), where=norms > 0))
        self.frequent = np.zeros((len(features), len(weights.frequent)))
        self.frequent[rows[frequent], numbers[frequent]] = values[frequent]
        rare = np.flatnonzero(~frequent & (values > 0))
        rare = rare[np.argsort(features.buckets[rare], kind="stable")]
        self.buckets, self.rows, self.values = features.buckets[rare], rows[rare], values[rare]
        self.idf = weights.idf_of_words(self.buckets)
