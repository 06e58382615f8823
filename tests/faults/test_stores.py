"""The PostgreSQL of the fault tests: it ends with the tests, whatever was done to it."""

from __future__ import annotations

from tests.faults.stores import PostgresStore
from tests.support.servers import processes_naming


def test_a_server_that_was_restarted_and_killed_is_stopped_at_the_end():
    store = PostgresStore()
    try:
        store.restart()
        store.restart(crash=True)
    finally:
        store.stop()
    assert processes_naming(str(store._folder)) == []
