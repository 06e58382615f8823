"""The hourly maintenance task: one worker runs it, for a part of its time limit, and sends the next task with the place
to resume.
"""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Boolean, LargeBinary, String, delete, func, insert, select
from sqlalchemy.exc import OperationalError

from worker.jobs.retention import RETENTION_RULES
from worker.producer.task_message import ClaimCheck, read_message
from worker.queue import keys
from worker.runtime import connections, tasks
from worker.settings import Settings
from worker.store.columns import UtcDateTime
from worker.store.tables import dead_letters, raw_documents

ROWS = 450


@pytest.fixture
def sent(engine, redis_client, monkeypatch):
    """The arguments of the tasks that were sent; the store has rows to delete."""
    old = datetime.now(UTC) - timedelta(days=400)
    rows = [{"sha256": n.to_bytes(32, "big"), "size": 1, "bytes": b"x", "last_seen_at": old} for n in range(ROWS)]
    with engine.begin() as connection:
        connection.execute(insert(raw_documents), rows)
    found = []
    monkeypatch.setattr(connections, "engine", lambda: engine)
    monkeypatch.setattr(connections, "client", lambda: redis_client)
    monkeypatch.setattr(
        tasks,
        "settings",
        lambda: Settings(statement_seconds=1e-9, idle_transaction_seconds=1e-9, task_seconds=1e-9, story_days=100),
    )
    monkeypatch.setattr(tasks.maintain, "apply_async", lambda args, **options: found.append(args))
    return found


def left(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(raw_documents))


def test_maintenance_resumes_with_the_task_it_sent_until_all_is_deleted(engine, sent):
    tasks.maintain()
    assert ROWS > left(engine) > 0, "its time ran out"
    while sent:
        tasks.maintain(*sent.pop())

    assert left(engine) == 0


def test_a_second_task_within_the_hour_does_nothing(engine, sent, redis_client):
    redis_client.set("copydesk:maintained", "another")
    tasks.maintain()

    assert (left(engine), sent) == (ROWS, [])


@pytest.mark.parametrize("expiry", [None, 10 * tasks.MAINTAIN_EVERY_SECONDS])
def test_a_foreign_mark_delays_maintenance_by_an_hour_at_most(sent, redis_client, expiry):
    redis_client.set(keys.MAINTAINED, "junk", ex=expiry)
    redis_client.set(keys.ROLLED_UP, "junk", ex=expiry)
    tasks.maintain()
    tasks.roll_up()

    assert 0 < redis_client.ttl(keys.MAINTAINED) <= tasks.MAINTAIN_EVERY_SECONDS
    assert 0 < redis_client.ttl(keys.ROLLED_UP) <= 60


def test_a_mark_of_a_worker_is_not_prolonged(sent, redis_client):
    redis_client.set(keys.MAINTAINED, "another", ex=5)
    tasks.maintain()

    assert redis_client.ttl(keys.MAINTAINED) <= 5


def test_an_unreachable_store_is_logged_without_a_traceback(engine, sent, monkeypatch):
    class Away(Exception):
        sqlstate = "08006"

    def away(*_args, **_options):
        raise OperationalError("SELECT", {}, Away("the server closed the connection"))

    monkeypatch.setattr(tasks, "prune", away)
    tasks.maintain()

    assert sent == []


def test_an_invalid_place_to_resume_is_ignored(engine, sent):
    tasks.maintain('["articles"]')

    assert (left(engine), sent) == (ROWS, [])


def longest(column, number):
    """Return the longest value that a column of a key or a time may have; it differs by `number`."""
    if isinstance(column.type, UtcDateTime):
        return datetime(2020, 1, 1, 1, 1, 1, 100_001 + number, UTC)
    if isinstance(column.type, LargeBinary):
        return bytes([255 - number]) * 32
    if isinstance(column.type, String):
        return chr(ord("z") - number) * (column.type.length or 64)
    if isinstance(column.type, Boolean):
        return False
    return 2**63 - 1 - number if column.primary_key else number


def fill(engine, rule):
    """Store three rows that the rule deletes."""
    rows = [
        {
            column.name: "discarded" if column.name == "status" else longest(column, number)
            for column in rule.table.columns
            if column in set(rule.order)
            or column.name.endswith("_at")
            or (not column.nullable and column.server_default is None)
        }
        for number in range(3)
    ]
    with engine.begin() as connection:
        connection.execute(insert(rule.table), rows)


@pytest.mark.parametrize("rule", RETENTION_RULES, ids=lambda rule: rule.name)
def test_the_place_to_resume_of_each_rule_is_a_valid_task(engine, sent, rule, monkeypatch):
    """A message of maintenance that the worker refuses is dropped: the rows behind that place would stay forever."""
    monkeypatch.setattr("worker.jobs.retention._PAGE", 1)
    with engine.begin() as connection:
        connection.execute(delete(raw_documents))
    if rule.table is dead_letters:
        fill(engine, next(other for other in RETENTION_RULES if other.name == "receipts"))
    fill(engine, rule)
    names = set()
    tasks.maintain()
    while sent:
        [place] = sent.pop()
        names.add(json.loads(place)[0])
        assert isinstance(read_message(claim_check(place)), ClaimCheck), place
        tasks.maintain(place)
    assert rule.name in names


def claim_check(place):
    """Return the message by which `tasks.maintain` sends itself again."""
    body = base64.b64encode(json.dumps([[place], {}, {}]).encode()).decode()
    properties = {"delivery_tag": "t", "body_encoding": "base64", "delivery_info": {}}
    return json.dumps({"body": body, "content-type": "application/json", "content-encoding": "utf-8",
                       "headers": {"task": "copydesk.maintain", "id": "i", "lang": "py"}, "properties": properties}).encode()  # fmt: skip
