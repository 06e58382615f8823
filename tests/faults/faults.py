"""Every fault, by name."""

from tests.faults import of_processes, of_redis, of_stores
from tests.faults.registry import FAULTS, Fault, Strike, Unavailable

__all__ = ["FAULTS", "Fault", "Strike", "Unavailable", "of_processes", "of_redis", "of_stores"]
