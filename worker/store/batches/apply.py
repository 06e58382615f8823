"""Apply a change set: one statement for each table and operation. Nobody waits for them before the commit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from worker.store.columns import metadata
from worker.store.decide.change_set import ChangeSet, Operation, Write
from worker.store.sql.flights import Flights
from worker.store.sql.statements import Statement, insertion, removal, updating

_NONE_DRAWN: Mapping[str, int] = MappingProxyType({})


def apply(transaction: Flights, dialect: str, changes: ChangeSet, drawn: Mapping[str, int] = _NONE_DRAWN) -> None:
    """Send the statements of `changes`, in their order. The caller commits.

    `drawn`: table → the first of its new ids, if it was drawn from the sequence. All who draw from it hold the writer
    lock.
    """
    apply_writes(transaction, dialect, changes)
    if dialect != "postgresql":
        return
    for table, last_id in changes.last_ids.items():
        if last_id == drawn.get(table):
            continue
        text = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), %s)"
        transaction.execute(Statement(text, (last_id,)))


def apply_writes(transaction: Flights, dialect: str, changes: ChangeSet) -> None:
    """Send the statements so far."""
    for write in changes.take():
        transaction.execute(statement_of(dialect, write))


def statement_of(dialect: str, write: Write) -> Statement:
    """Return the statement of one write for a database."""
    table = metadata.tables[write.table]
    if write.operation is Operation.UPDATE:
        return updating(dialect, table, write.names, write.key, write.rows)
    if write.operation is Operation.DELETE:
        return removal(dialect, table, write.key, write.rows)
    return insertion(dialect, table, write.names, write.rows, _on_conflict(write))


def _on_conflict(write: Write) -> str:
    keys = ", ".join(f'"{name}"' for name in write.key)
    if write.operation is Operation.INSERT_MISSING:
        return f"({keys}) DO NOTHING"
    if write.operation is Operation.MERGE:
        return f'({keys}) DO UPDATE SET "{write.names[-1]}" = EXCLUDED."{write.names[-1]}"'
    return ""
