"""Time spans and sizes are written in one way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from worker.telemetry.durations import duration_text, parse_time
from worker.telemetry.sizes import size_text

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "written"), [
    (0.0, "0.0 s"), (9.94, "9.9 s"), (12.34, "12 s"), (119.0, "119 s"), (120.0, "2.0 min"), (3600.0, "60 min"),
    (7200.0, "2.0 h"), (90_000.0, "25 h"), (172_800.0, "2.0 d"), (300_000.0, "3.5 d"), (1e8, "1,157.4 d"),
])  # fmt: skip
def test_a_time_span_has_the_unit_that_fits(seconds, written):
    assert duration_text(seconds) == written


@pytest.mark.parametrize(("count", "written"), [
    (0, "0 B"), (1023, "1,023 B"), (1024, "1 KiB"), (1 << 20, "1.0 MiB"), (15 << 20, "15 MiB"), (5 << 30, "5.0 GiB"),
    (5 << 40, "5,120 GiB"),
])  # fmt: skip
def test_a_size_has_the_unit_that_fits(count, written):
    assert size_text(count) == written


@pytest.mark.parametrize(("text", "moment"), [
    ("90m", NOW - timedelta(minutes=90)), ("2.5h", NOW - timedelta(hours=2.5)), (" 3d ", NOW - timedelta(days=3)),
    ("2w", NOW - timedelta(weeks=2)), ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
    ("2026-01-30T10:00", datetime(2026, 1, 30, 10, tzinfo=UTC)),
    ("2026-01-30T10:00+02:00", datetime(2026, 1, 30, 10, tzinfo=timezone(timedelta(hours=2)))),
])  # fmt: skip
def test_a_time_is_an_age_or_a_day_or_a_time(text, moment):
    assert parse_time(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "h", "-1h", "nanh", "1e9d", "9999999d", "yesterday", "3 d", "٣d"])
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="6h, 3d or 2w"):
        parse_time(text, NOW)
