"""The parts of Celery's worker (`WorkController`) that this package uses. celery-types leaves most of them untyped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from celery import Celery
from celery.bootsteps import StartStopStep
from celery.worker.consumer import Consumer


class PoolProcess(Protocol):
    """A child process of billiard's pool."""

    pid: int


class Job(Protocol):
    """A batch on its way through billiard's pool. The process is None until the job was sent to it."""

    _write_to: PoolProcess | None
    _scheduled_for: PoolProcess | None
    _accepted: bool


class InnerPool(Protocol):
    """Billiard's pool."""

    _pool: Sequence[PoolProcess]
    _cache: Mapping[int, Job]

    def close(self) -> None: ...
    def join(self) -> None: ...


class Pool(Protocol):
    """Celery's pool. `_pool` is None while it does not run."""

    _pool: InnerPool | None


class Hub(Protocol):
    """Celery's event loop."""

    def call_soon(self, callback: Callable[[], object]) -> object: ...
    def call_repeatedly(self, delay: float, callback: Callable[[], object]) -> object: ...


class Controller(Protocol):
    """Celery's worker, the parent of all bootsteps."""

    app: Celery
    concurrency: int
    consumer: Consumer | None
    hub: Hub | None
    pool: Pool | None
    steps: Sequence[StartStopStep]


def inner_pool(controller: Controller) -> InnerPool | None:
    """Return billiard's pool; None before the pool's start and after its end."""
    pool = getattr(controller, "pool", None)
    return pool._pool if pool is not None else None


def pool_pids(controller: Controller) -> tuple[int, ...]:
    """Return the process ids of the pool."""
    inner = inner_pool(controller)
    return tuple(process.pid for process in inner._pool) if inner is not None else ()
