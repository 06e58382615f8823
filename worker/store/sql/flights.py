"""A transaction whose statements travel together: one round trip to PostgreSQL for all that are queued.

On PostgreSQL the statements go through psycopg's pipeline, BEGIN and COMMIT with their neighbours. SQLite has no round
trips: each statement is executed when the flight is sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol

from sqlalchemy import Engine
from sqlalchemy.engine import Connection, Transaction
from sqlalchemy.exc import DBAPIError

from worker.store.sql.driver_errors import drop_values
from worker.store.sql.query import Query, R
from worker.store.sql.statements import Statement

BEGIN_OPTIONS = "copydesk_begin"
"""The execution option of an engine that holds the statements which begin its transactions on PostgreSQL."""


class Result(Generic[R]):
    """The rows of a query, once its flight has been sent."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[R] = []


class Flights(Protocol):
    """A transaction. Statements are queued by `fetch`, `execute` and `call`; `send` and `commit` send them."""

    def fetch(self, query: Query[R], values: Mapping[str, Any]) -> Result[R]:
        """Queue a query; without values in its first list it is not sent and has no rows."""
        ...

    def execute(self, statement: Statement) -> None:
        """Queue or send a statement whose result is not needed. Its error may be raised by a later call."""
        ...

    def lock(self, statement: str) -> None:
        """Queue a statement that waits for a lock, on PostgreSQL. On SQLite a transaction that writes has the lock."""
        ...

    def send(self) -> None:
        """Send what is queued and wait for the results. Raises SQLAlchemy's errors."""
        ...

    def commit(self) -> None:
        """Send what is queued together with COMMIT. Raises SQLAlchemy's errors."""
        ...


class _Sqlite:
    def __init__(self, connection: Connection, transaction: Transaction) -> None:
        self._connection, self._transaction = connection, transaction

    def fetch(self, query: Query[R], values: Mapping[str, Any]) -> Result[R]:
        result = Result[R]()
        if query.first is not None and not values[query.first]:
            return result
        rows = self._connection.exec_driver_sql(*_tupled(query.sqlite(values))).all()
        result.rows = [
            query.row(
                *(value if change is None else change(value) for change, value in zip(query.changes, row, strict=True))
            )
            for row in rows
        ]
        return result

    def execute(self, statement: Statement) -> None:
        self._connection.exec_driver_sql(statement.text, statement.values)

    def lock(self, statement: str) -> None:
        return

    def send(self) -> None:
        return

    def commit(self) -> None:
        self._transaction.commit()


def _tupled(found: tuple[str, list[Any]]) -> tuple[str, tuple[Any, ...]]:
    return found[0], tuple(found[1])


_MOST_TRIES = 4
"""A pool keeps two connections and two more for a while; each of them may have been closed by the server meanwhile."""
_OUTDATED_PLAN = "0A000"
"""SQLSTATE of "cached plan must not change result type": a column has another type than when a statement was prepared."""
_Queued = tuple[str, Any, Result[Any] | None, Query[Any] | None]


class _Postgres:
    """`begin`: the statements that begin the transaction; they travel with the first flight.

    If the connection turns out to be closed, the first flight is sent again on another one. Nothing of it was kept,
    unless it held the commit too: flights that do so may be repeated. After the first flight `execute` sends its
    statement at once and does not wait: the database works on it while the next one is decided or encoded.
    """

    def __init__(self, connection: Connection, begin: Sequence[str]) -> None:
        self._connection = connection
        self._raw: Any = connection.connection.driver_connection
        self._queue: list[_Queued] = [(text, None, None, None) for text in begin]
        self._is_first = True
        self._pipeline = contextlib.ExitStack()
        self._sent: list[tuple[Any, Result[Any] | None, Query[Any] | None]] = []

    def fetch(self, query: Query[R], values: Mapping[str, Any]) -> Result[R]:
        result = Result[R]()
        if query.first is None or values[query.first]:
            self._queue.append((query.postgres(values), query.postgres_values(values), result, query))
        return result

    def execute(self, statement: Statement) -> None:
        self._queue.append((statement.text, statement.values, None, None))
        if not self._is_first:
            queue, self._queue = self._queue, []
            try:
                self._start(queue)
            except self._connection.dialect.loaded_dbapi.Error as error:
                raise self._wrapped(error, is_lost=self._abandon(error)) from error

    def lock(self, statement: str) -> None:
        self._queue.append((statement, None, None, None))

    def send(self) -> None:
        queue, self._queue = self._queue, []
        tries = _MOST_TRIES if self._is_first else 1
        self._is_first = False
        while queue or self._sent:
            tries -= 1
            try:
                self._start(queue)
                self._finish()
            except self._connection.dialect.loaded_dbapi.Error as error:
                is_lost = self._abandon(error)
                if not is_lost or tries == 0:
                    raise self._wrapped(error, is_lost=is_lost) from error
                self._raw = self._connection.connection.driver_connection
            else:
                return

    def _start(self, queue: Sequence[_Queued]) -> None:
        """Send statements without waiting for their results."""
        if not self._sent:
            self._pipeline.enter_context(self._raw.pipeline())
        for text, values, result, query in queue:
            cursor = self._raw.cursor()
            self._sent.append((cursor, result, query))
            # Parsed and planned once a connection, if the engine allows it: half of the server's time for one document.
            cursor.execute(text, values, prepare=True)

    def _finish(self) -> None:
        """Wait for the results of all that was sent."""
        self._pipeline.close()
        for cursor, result, query in self._sent:
            if result is not None and query is not None:
                result.rows = [query.row(*row) for row in cursor.fetchall()]
            cursor.close()
        self._sent.clear()

    def _abandon(self, error: Exception) -> bool:
        """End the pipeline after an error; returns whether the connection is lost.

        It is given up, too, if a prepared statement does not fit the schema any more: psycopg would use it again.
        """
        drop_values(error)
        self.close()
        is_lost = bool(self._raw.closed) or getattr(error, "sqlstate", None) == _OUTDATED_PLAN
        if is_lost:
            self._connection.invalidate(error)
        return is_lost

    def close(self) -> None:
        """Wait for what was sent, whatever becomes of it. The transaction stays open."""
        with contextlib.suppress(self._connection.dialect.loaded_dbapi.Error):
            self._pipeline.close()
        for cursor, _, _ in self._sent:
            cursor.close()
        self._sent.clear()

    def commit(self) -> None:
        self._queue.append(("COMMIT", None, None, None))
        self.send()

    def _wrapped(self, error: Any, *, is_lost: bool) -> DBAPIError:
        """Return psycopg's error as SQLAlchemy raises it, without statement and parameters."""
        dialect = self._connection.dialect
        wrapped: DBAPIError = DBAPIError.instance(
            "", None, error, dialect.loaded_dbapi.Error, connection_invalidated=is_lost, dialect=dialect
        )
        return wrapped


@contextlib.contextmanager
def flights(
    engine: Engine, *, locks: str | None = None, reads_only: bool = False, durable: bool = True
) -> Iterator[Flights]:
    """Open a transaction whose statements travel together; without `commit` it is rolled back.

    `locks`: a statement that takes a lock first, on PostgreSQL. On SQLite the transaction takes the write lock at its
    beginning, unless it `reads_only`. Without `durable`, PostgreSQL's COMMIT does not wait for the disk: a crash of the
    server may lose the transaction until a durable one that wrote something was committed after it.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(copydesk_writes=not reads_only) as connection:
            transaction = connection.begin()
            try:
                yield _Sqlite(connection, transaction)
            finally:
                if transaction.is_active:
                    transaction.rollback()
        return
    with engine.connect() as connection:
        begin = list(engine.get_execution_options()[BEGIN_OPTIONS])
        if not durable:
            begin.append("SET LOCAL synchronous_commit = off")
        if locks:
            begin.append(locks)
        flight = _Postgres(connection, begin)
        try:
            yield flight
        finally:
            flight.close()
