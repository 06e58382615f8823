"""Every message on Celery's queue, from a producer that speaks Celery or from anybody else, has an outcome, and no log
shows its body.
"""

import base64
import gzip
import hashlib
import json
import pickle

import pytest
from celery import Celery
from sqlalchemy import create_engine, select

from tests.support.servers import Background, copydesk, until
from tests.unit.producer.test_task_message import hours, message
from worker.queue.connection import connect
from worker.settings import INTERNAL_LANE
from worker.store import tables

SECRET = "hunter2-planted"
DOCUMENT = f"---\ntitle: T\nwebUrl: https://door.example/1\nsecured: {SECRET}\n---\nText\n"
SURROGATE = "s\ud800"
CHANGED = json.loads(message([DOCUMENT]))


def changed(**parts):
    return json.dumps({**CHANGED, **parts}).encode()


MESSAGES = [
    message([], {"raww": DOCUMENT}), message([DOCUMENT], {"sorce": SECRET}), message([], {"source": "app"}),
    message([None], {"source": DOCUMENT}), message([[DOCUMENT]]), message([5], {"key": DOCUMENT}), message([{SECRET: DOCUMENT}]),
    message([{"__type__": "bytes", "__value__": DOCUMENT}]), message([{"__type__": "base64", "__value__": "//79"}]),
    message([{"__type__": "no such", "__value__": DOCUMENT}]), message([DOCUMENT], {"reply_to": [SECRET]}),
    message([DOCUMENT], {"reply_to": 5}), message([DOCUMENT], {"source": SURROGATE}), message([DOCUMENT, SURROGATE]),
    message([DOCUMENT] * 9), message([DOCUMENT], {"raw": DOCUMENT}), message([], {"raw_base64": SECRET + "!"}),
    message([DOCUMENT], {SECRET: SECRET}), message([DOCUMENT], headers={"task": f"no.such.{SECRET.replace('-', '')}"}),
    message([DOCUMENT], headers={"task": "submit"}), message([["copydesk.submit", [[DOCUMENT]]]], headers={"task": "celery.starmap"}),
    message([DOCUMENT], headers={"expires": hours(-1)}), message([DOCUMENT], headers={"eta": hours(1)}),
    message([DOCUMENT], headers={"eta": SECRET}), message([DOCUMENT], embed={"chain": [{"task": SECRET}]}),
    message([DOCUMENT], headers={"id": None, "argsrepr": DOCUMENT, "kwargsrepr": SECRET}), message([DOCUMENT], headers={"task": [SECRET]}),
    message(body=DOCUMENT.encode()), message(body=b"\xff\xfe" + SECRET.encode()), message(body=b"[" * 50_000 + SECRET.encode()),
    message(body=pickle.dumps(([DOCUMENT], {}, {})), **{"content-type": "application/x-python-serialize"}),
    message(body=gzip.compress(DOCUMENT.encode()), headers={"compression": "application/x-gzip"}),
    changed(body=None), changed(body=5), changed(body=SECRET + "!"), changed(properties=None), changed(properties=[SECRET]), changed(headers=None),
    changed(**{"content-type": SECRET}), changed(**{"content-encoding": SECRET}), message([DOCUMENT])[:-30], DOCUMENT.encode(),
    b"\xff\xfe\x00" + SECRET.encode(), json.dumps(SECRET).encode(), json.dumps([DOCUMENT]).encode(), b"9" * 90_000 + SECRET.encode(),
    b"x" * 1_200_000 + SECRET.encode(), message([], {"raww": SECRET + "x" * 1_100_000}),
]  # fmt: skip


@pytest.fixture(scope="module")
def installation(valkey, tmp_path_factory, migrated_sqlite):
    folder = tmp_path_factory.mktemp("door")
    logs = {"COPYDESK_LOG_LEVEL": "debug,celery=debug,kombu=debug", "COPYDESK_LOG_FORMAT": "json"}
    engine = create_engine(migrated_sqlite(folder / ".copydesk" / "copydesk.db"))
    settings = {"COPYDESK_REDIS_URL": valkey.url}
    with Background("worker", cwd=folder, **settings, **logs) as worker, connect(valkey.url) as client:
        until(lambda: "The worker is ready" in worker.text(), what="the worker is ready")
        yield folder, worker, client, engine, settings
    engine.dispose()


def dead_letter_rows(engine, **wanted):
    with engine.connect() as connection:
        query = select(tables.dead_letters, tables.raw_documents.c.size, tables.raw_documents.c.bytes).join(
            tables.raw_documents, tables.raw_documents.c.sha256 == tables.dead_letters.c.raw_sha256
        )
        return list(connection.execute(query.filter_by(**wanted).order_by(tables.dead_letters.c.id)))


def ready_lines(worker):
    return worker.text().count("The worker is ready")


def test_each_message_becomes_a_dead_letter_with_its_bytes_and_no_log_shows_it(installation):
    folder, worker, client, engine, settings = installation
    client.rpush("copydesk", *MESSAGES)
    until(lambda: len(dead_letter_rows(engine)) == len(MESSAGES), what="all are dead letters")
    kept = {row.raw_sha256: bytes(row.bytes) for row in dead_letter_rows(engine)}
    for item in MESSAGES:
        whole = kept[hashlib.sha256(item).digest()]
        assert whole == item if len(item) <= 1 << 20 else whole == item[: 1 << 16]
    assert {row.code for row in dead_letter_rows(engine)} == {
        "not_a_task",
        "unknown_task",
        "bad_task_arguments",
        "task_option",
    }
    assert ready_lines(worker) == 1
    assert client.exists("unacked") == 0
    encoded = base64.b64encode(SECRET.encode()).decode()[:12]
    leaks = [
        line
        for line in worker.text().splitlines()
        if SECRET in line or "Received unregistered" in line or encoded in line
    ]
    assert leaks == []
    until(lambda: client.xlen(INTERNAL_LANE) == 0, what="all are settled")
    audit = json.loads(copydesk("audit", "--json", cwd=folder, **settings).stdout)
    (internal,) = [lane for lane in audit["lanes"] if lane["lane"] == INTERNAL_LANE]
    assert audit["sound"]
    assert internal["added"] == internal["settled"] == internal["outcomes"]["rejected"] == len(MESSAGES)
    status = json.loads(copydesk("status", "--json", cwd=folder, **settings).stdout)
    assert sum(status["dead_letters"].values()) == status["internal"]["added"] == len(MESSAGES)
    listed = copydesk("dead", "list", cwd=folder, **settings).stdout
    assert "bad_task_arguments" in listed


def test_the_document_in_a_celery_message_is_replayed(installation):
    folder, _, client, engine, settings = installation
    document = DOCUMENT.replace("/1\n", "/replayed\n")
    client.rpush("copydesk", message([], {"raww": document, "source": "app", "key": "k", "reply_to": "replies:door"}))
    until(lambda: dead_letter_rows(engine, key="k"), what="it is a dead letter")
    (dead_letter,) = dead_letter_rows(engine, key="k")
    assert dead_letter.source == "app"
    shown = copydesk("dead", "show", str(dead_letter.id), cwd=folder, **settings).stdout
    assert "https://door.example/replayed" in shown
    assert SECRET not in shown
    until(lambda: client.exists("replies:door"), what="its producer is answered")
    assert copydesk("dead", "replay", str(dead_letter.id), "--yes", cwd=folder, **settings).returncode == 0
    until(lambda: dead_letter_rows(engine, key="k")[0].status == "replayed", what="it is stored")
    with engine.connect() as connection:
        assert connection.execute(select(tables.documents.c.source).filter_by(key="k")).scalars().all() == ["app"]


def test_a_producer_that_speaks_celery_is_served(installation):
    _, worker, client, _, settings = installation
    with Celery(broker=settings["COPYDESK_REDIS_URL"].replace("unix://", "redis+socket://")) as producer:
        for number, arguments in enumerate((
            {"raw": DOCUMENT.replace("/1\n", "/2\n")}, {"raw_base64": base64.b64encode(DOCUMENT.replace("/1\n", "/3\n").encode()).decode()},
        )):  # fmt: skip
            producer.send_task(
                "copydesk.submit",
                (),
                {**arguments, "source": "celery", "key": str(number), "reply_to": "replies:c"},
                queue="copydesk",
            )
    until(lambda: client.xlen("replies:c") == 2, what="both are answered")
    assert {json.loads(fields[b"receipt"])["outcome"] for _, fields in client.xrange("replies:c")} == {"stored"}
    assert ready_lines(worker) == 1
    assert SECRET not in worker.text()


def test_a_message_larger_than_any_document_can_be_is_kept_with_its_length(installation):
    _, _, client, engine, _ = installation
    client.rpush("copydesk", b"y" * (9 << 20))
    until(lambda: [row for row in dead_letter_rows(engine) if row.size == 9 << 20], what="it is kept")


def test_a_document_is_stored_when_redis_is_out_of_memory(installation):
    _, _, client, engine, _ = installation
    item = message([DOCUMENT.replace("/1\n", "/full\n")], {"source": "full", "key": "full"})
    client.rpush("copydesk:aside", item)
    client.config_set("maxmemory", 1)
    try:
        client.eval(
            "#!lua flags=allow-oom\nreturn redis.call('RENAME', KEYS[1], KEYS[2])", 2, "copydesk:aside", "copydesk"
        )
        until(
            lambda: client.xinfo_stream("documents")["entries-added"] and not client.exists("copydesk"),
            what="it is taken",
        )
    finally:
        client.config_set("maxmemory", 0)
    with engine.connect() as connection:
        stored = select(tables.documents.c.id).filter_by(key="full")
        until(lambda: connection.execute(stored).first() is not None or connection.rollback(), what="it is stored")
