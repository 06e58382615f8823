"""A dry run of a replay says what is known of each dead letter without sending it."""

from sqlalchemy import update

from tests.integration.store.store_driver import work
from worker.dead_letters import bulk_actions
from worker.documents.limits import Limits
from worker.queue.lease_queue import Claimed
from worker.store import dead_letters as dead
from worker.store.tables import dead_letters


def test_documents_on_which_the_worker_failed_are_not_called_rejected_again(engine):
    for n in range(3):
        raw = b"---\ntitle: They call it: the hall\nwebUrl: https://a.example/%d\n---\n" % n
        work(engine, "documents", [Claimed(f"170000000000{n}-0", 0, len(raw), {b"raw": raw}, truncated=False)])
    with engine.begin() as connection:
        connection.execute(update(dead_letters).where(dead_letters.c.id < 3).values(code="internal_error"))

    plan = bulk_actions.dry_run(engine, dead.Filter(), Limits())

    assert (plan.passing, plan.untried, plan.failing) == (0, 2, {"yaml_unquoted_colon": 1})
