"""The time since which a crawler sends invalid documents."""

from __future__ import annotations

import pytest

from worker.monitoring.sources.rejection_stats import onset


@pytest.mark.parametrize(("pieces", "expected"), [
    ([(0, 100, 0), (60, 100, 0), (120, 100, 90), (180, 100, 95)], (120, 0.0)),
    ([(0, 100, 5), (60, 100, 4), (120, 100, 60)], (120, 0.045)),
    ([(0, 10, 10), (60, 10, 10)], (0, None)),
    ([(0, 10, 3)], (0, None)),
    ([(0, 10, 9), (60, 100, 1)], (0, None)),
    ([(0, 1000, 10), (60, 1000, 12)], (0, None)),
], ids=["clean then bad", "a little then much", "always", "one piece", "mended since", "as ever"])  # fmt: skip
def test_the_onset_is_where_the_share_of_rejections_rose(pieces, expected):
    assert onset(pieces) == expected
