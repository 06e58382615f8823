"""Secrets are planted in every possible place, and a worker's whole log is searched for each of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from celery import Celery
from sqlalchemy import create_engine, select, text

from tests.support.servers import Valkey, environment, free_port, until
from worker.store.tables import dead_letters, receipts

REDIS, DATABASE, ESCAPED = "r3dis-Passw0rd", "d4tabase p@ss/word", "d4tabase%20p%40ss%2Fword"
IN_URL, SECURED, HIDDEN = "crawl3rs-Passw0rd", "Q0lQSEVSVEVYVE9GQVNFQ1JFVA==", "SU5BREVBRExFVFRFUkhJRERFTg=="
VECTOR = "MDEyMzQ1Njc4OWFiY2RlZg=="
GOOD = f'---\ntitle: The wall\nwebUrl: https://good.example/wall\nsecured: "{SECURED};{VECTOR}"\n---\n'
LETTER = f"---\ntitle: Plans: the wall\nsecured: '{HIDDEN};{VECTOR}'\nwebUrl: https://me:{IN_URL}@bad.example/\n---\n"
UNCLOSED = f"---\ntitle: The wall\nsecured: [{HIDDEN};{VECTOR}\n---\n"
LATER = GOOD.replace("/wall", "/later")


@pytest.fixture
def settings(migrated_postgres_url, tmp_path):
    """A Redis with a password, on a port, and a database whose URL contains a password with escapes."""
    server = Valkey(port=(port := free_port()), options=("--requirepass", REDIS), credentials=f":{REDIS}").start()
    url = migrated_postgres_url.replace("postgres:", "postgres").replace("postgres@", f"postgres:{ESCAPED}@", 1)
    assert ESCAPED in url
    yield {"COPYDESK_REDIS_URL": f"redis://:{REDIS}@127.0.0.1:{port}/0", "COPYDESK_DATABASE_URL": url,
           "COPYDESK_DATA_DIR": str(tmp_path), "COPYDESK_LOG_LEVEL": "debug", "COPYDESK_CONCURRENCY": "1",
           "server": server}  # fmt: skip
    server.stop()


@pytest.mark.timeout(600)
def test_no_planted_secret_is_in_the_log(settings, tmp_path):
    server = settings.pop("server")
    engine = create_engine(settings["COPYDESK_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1))

    def push(client, raw):
        return client.xadd("documents", {"raw": raw, "source": f"https://me:{IN_URL}@crawler.example"}).decode()

    def settled(id_):
        with engine.connect() as connection:
            return connection.scalar(select(receipts.c.outcome).where(receipts.c.id == id_))

    def rejected_as(code):
        with engine.connect() as connection:
            codes = connection.scalars(select(dead_letters.c.code))
            return code in codes

    def says(sentence):
        until(lambda: sentence in (tmp_path / "log").read_text("utf-8", "replace"), what=f"it says {sentence!r}")

    # As Celery users start it: with its banner, and with Celery's own lines at the finest level.
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "worker.runtime.app",
        "worker",
        "--loglevel=DEBUG",
        "--concurrency=1",
    ]
    with (tmp_path / "log").open("wb") as log, server.client() as client:
        worker = subprocess.Popen(command, cwd=tmp_path, env=environment(COPYDESK_LINK="true", **settings), stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        try:
            sent = {
                push(client, raw): outcome
                for raw, outcome in ((GOOD, "stored"), (LETTER, "rejected"), (UNCLOSED, "rejected"))
            }
            # Celery logs a message that it cannot use with all its content.
            client.lpush("copydesk", json.dumps({"body": GOOD, "headers": {"password": REDIS}, "properties": {}}))
            for id_, outcome in sent.items():
                until(lambda id_=id_: settled(id_), what=f"{id_} has an outcome")
                assert settled(id_) == outcome
            # A mistake of a producer: it becomes a dead letter, and Celery, which would log its arguments, never gets
            # it.
            with Celery(broker=settings["COPYDESK_REDIS_URL"]) as producer:
                producer.send_task("copydesk.submit", (LETTER,), {"nonsense": GOOD}, queue="copydesk")
            # Its warning equals the one before, so it is written when the minute is over or the worker ends.
            until(lambda: rejected_as("bad_task_arguments"), what="the task with wrong arguments is a dead letter")
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE articles RENAME TO gone"))
            late = push(client, LATER)
            says("does not exist")
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE gone RENAME TO articles"))
            until(lambda: settled(late), what="it goes on")
        finally:
            worker.terminate()
            worker.wait(timeout=120)
            engine.dispose()
    found = (tmp_path / "log").read_text("utf-8", "replace")
    # Check that the worker processed all this; otherwise the absence of the secrets proves nothing.
    for sign in ("celery@", "bad_task_arguments", "does not exist", next(iter(sent))):
        assert sign in found, sign
    planted = (REDIS, DATABASE, ESCAPED, IN_URL, SECURED, HIDDEN)
    leaks = [line for line in found.splitlines() if any(secret in line for secret in planted)]
    assert leaks == []
