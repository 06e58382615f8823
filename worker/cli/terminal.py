"""Prints results to stdout without rich, whose import would take a tenth of the import time of `check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from worker.telemetry.terminal import plain, replace_unprintable

OUTCOMES = ("stored", "updated", "unchanged", "superseded", "retracted", "rejected")


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object as one line to stdout.

    Characters that a terminal interprets or hides are written as `\\uXXXX`.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    sys.stdout.write(replace_unprintable(text, lambda character: json.dumps(character)[1:-1]) + "\n")


def moment(at: str | None) -> str:
    """Format an ISO 8601 time as `2026-01-31 12:00:01.250 UTC`."""
    return f"{at.replace('T', ' ')[:23].partition('+')[0]} UTC" if at else "unknown"


__all__ = ["OUTCOMES", "moment", "plain", "print_json"]
