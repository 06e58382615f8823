"""The servers of a run: a Valkey, and a new database on a shared PostgreSQL or in a file."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.benchmarks.machine import cpu_seconds
from tests.support.guard import temporary_folder
from tests.support.postgres import Postgres
from tests.support.servers import Valkey

_SETTINGS = {"max_wal_size": "4GB", "shared_buffers": "1GB"}
"""Default settings, except those that every guide raises first."""

_VALKEY = ("--auto-aof-rewrite-min-size", "256mb")
"""As `docker-compose.yml` sets it, for all contenders. With the default a copy of Valkey rewrites its file during a run."""


class Servers:
    """A Valkey for each run, and one PostgreSQL with a database for each run."""

    def __init__(self, *, postgres: bool = True) -> None:
        self.postgres = Postgres(_SETTINGS) if postgres else None
        if self.postgres is not None:
            self.postgres.restart()

    def stop(self) -> None:
        if self.postgres is not None:
            self.postgres.stop()

    @property
    def database_pids(self) -> list[int]:
        if self.postgres is None:
            return []
        with psycopg.connect(self.postgres.url) as connection:
            row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        return [int(row[0].splitlines()[0])]

    @contextlib.contextmanager
    def fresh(self, database: str) -> Iterator[Setting]:
        """Start empty servers; `database` is postgresql or sqlite."""
        with contextlib.ExitStack() as stack:
            folder = Path(temporary_folder("bench"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            valkey = Valkey(options=_VALKEY).start()
            stack.callback(valkey.stop)
            if database == "sqlite":
                url = f"sqlite:///{folder / 'store.db'}"
            else:
                assert self.postgres is not None
                url = stack.enter_context(self.postgres.database())
            yield Setting(valkey, url, folder, self.database_pids if database == "postgresql" else [])


@dataclass(slots=True)
class Setting:
    """The servers of one run."""

    valkey: Valkey
    database_url: str
    folder: Path
    database_pids: list[int]

    @property
    def engine_url(self) -> str:
        return self.database_url.replace("postgresql://", "postgresql+psycopg://")

    def cpu(self, worker: int) -> dict[str, float]:
        return {
            "workers": cpu_seconds([worker]),
            "database": cpu_seconds(self.database_pids),
            "redis": cpu_seconds([self.valkey._process.pid]),
        }
