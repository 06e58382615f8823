"""Prints results to stdout without rich, whose import would take a tenth of the import time of `check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from worker.telemetry.terminal import plain, replace_unprintable

OUTCOMES = ("stored", "updated", "unchanged", "superseded", "retracted", "rejected")


def json_line(value: Mapping[str, object]) -> str:
    """Return an object as one line of JSON. Characters that a terminal interprets or hides are written as `\\uXXXX`."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return replace_unprintable(text, lambda character: json.dumps(character)[1:-1]) + "\n"


def print_json(value: Mapping[str, object]) -> None:
    """Print an object as one line to stdout; see `json_line`."""
    sys.stdout.write(json_line(value))


def moment(at: str | None) -> str:
    """Format an ISO 8601 time as `2026-01-31 12:00:01.250 UTC`."""
    return f"{at.replace('T', ' ')[:23].partition('+')[0]} UTC" if at else "unknown"


__all__ = ["OUTCOMES", "json_line", "moment", "plain", "print_json"]
