"""All faults by name, together with the crashes at failpoints."""

from __future__ import annotations

from tests.faults import of_processes, of_redis, of_stores
from tests.faults.crashes import crash_at
from tests.faults.registry import FAULTS, Fault, Injection, Unavailable
from worker.telemetry.failpoints import POINTS


def injections(store: str) -> dict[str, Injection]:
    """Return every fault that applies to `store` (`postgresql` or `sqlite`), and a crash at every failpoint."""
    faults = {fault.name: fault.inject for fault in FAULTS.values() if store in fault.stores}
    return {**faults, **{f"crash at {point}": crash_at(point) for point in POINTS}}


__all__ = ["FAULTS", "Fault", "Injection", "Unavailable", "injections", "of_processes", "of_redis", "of_stores"]
