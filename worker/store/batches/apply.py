"""Apply a change set: one statement for each table and operation. Nobody waits for them before the commit."""

from __future__ import annotations

from worker.store.columns import metadata
from worker.store.decide.change_set import ChangeSet, Operation, Write
from worker.store.sql.flights import Flights
from worker.store.sql.statements import Statement, insertion, removal, updating

_ON_CONFLICT = {
    Operation.INSERT: "",
    Operation.INSERT_MISSING: "({keys}) DO NOTHING",
    Operation.MERGE: '({keys}) DO UPDATE SET "{last}" = EXCLUDED."{last}"',
    Operation.RAISE: '({keys}) DO UPDATE SET "{last}" = EXCLUDED."{last}" WHERE "{table}"."{last}" < EXCLUDED."{last}"',
}


def apply(transaction: Flights, dialect: str, changes: ChangeSet) -> None:
    """Send the statements of `changes`, in their order. The caller commits."""
    apply_writes(transaction, dialect, changes)
    if dialect == "postgresql" and changes.last_ids:
        # All who insert into these tables hold the writer lock, so the sequences only tell the next one where to go on.
        reached = ", ".join(f"setval(pg_get_serial_sequence('{table}', 'id'), %s)" for table in changes.last_ids)
        transaction.execute(Statement(f"SELECT {reached}", tuple(changes.last_ids.values())))


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
    keys = ", ".join(f'"{name}"' for name in write.key)
    conflict = _ON_CONFLICT[write.operation].format(keys=keys, table=write.table, last=write.names[-1])
    return insertion(dialect, table, write.names, write.rows, conflict)
