"""What a fault is, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.faults.scenario import Scene

Strike = Callable[[Scene], "int | None"]
"""Strikes a running scene and returns when the fault is over, with the entries it met, where it knows better than the caller."""
_Function = TypeVar("_Function", bound=Strike)
BOTH = ("postgresql", "sqlite")
POSTGRESQL = ("postgresql",)


@dataclass(frozen=True, slots=True)
class Fault:
    """`stores`: where it can happen."""

    name: str
    strike: Strike
    stores: tuple[str, ...] = BOTH


FAULTS: dict[str, Fault] = {}
long_form = False
"""Set by the long tests and the soak: outages last at full length, a black hole 60 s. The short form only makes sure that
clients notice: their time-out is 8 s, the batches' 6 s.
"""


class Unavailable(Exception):
    """Raised when this machine lacks what a fault needs; the test is skipped and says so."""


def fault(*, stores: tuple[str, ...] = BOTH) -> Callable[[_Function], _Function]:
    """Put a function on the list under its own name."""

    def register(strike: _Function) -> _Function:
        name = strike.__name__
        FAULTS[name] = Fault(name, strike, stores)
        return strike

    return register


def seconds(full: float, short: float) -> float:
    """How long an outage lasts, in the long and in the short form."""
    return full if long_form else short


def faketime(clock: Path) -> dict[str, str]:
    """The environment of a process whose clock is off by what the file `clock` says, which is nothing yet."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise Unavailable("libfaketime is not installed")
    clock.write_text("+0\n")
    return {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
