"""The type of a fault, and the list of all faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.faults.scenario import Scenario

Injection = Callable[[Scenario], "int | None"]
"""Injects the fault into a running scenario and returns when the fault is over. It returns the entries in flight if it
knows their number
better than the caller.
"""
_Function = TypeVar("_Function", bound=Injection)
BOTH = ("postgresql", "sqlite")
POSTGRESQL = ("postgresql",)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. `stores`: the stores to which it applies."""

    name: str
    inject: Injection
    stores: tuple[str, ...] = BOTH


FAULTS: dict[str, Fault] = {}
long_form = False
"""Set by the long tests and the soak: outages last at full length, a black hole 60 s. The short form is just long
enough that
clients notice: their time-out is 8 s, that of batches 6 s.
"""


class Unavailable(Exception):
    """Raised when this machine lacks a program that a fault needs; the test is skipped with this message."""


def fault(*, stores: tuple[str, ...] = BOTH) -> Callable[[_Function], _Function]:
    """Register a function under its own name."""

    def register(inject: _Function) -> _Function:
        name = inject.__name__
        FAULTS[name] = Fault(name, inject, stores)
        return inject

    return register


def seconds(full: float, short: float) -> float:
    """Return how long an outage lasts, in the long or in the short form."""
    return full if long_form else short


def faketime(clock: Path) -> dict[str, str]:
    """Return the environment of a process whose clock is shifted by the offset in the file `clock`, which begins at
    zero.
    """
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise Unavailable("libfaketime is not installed")
    clock.write_text("+0\n")
    return {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
