"""`copydesk ingest` as a new user runs it: a folder, a command, and an outcome for each document."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, func, select

from tests.e2e.documents import SEED_SHAPED, write_documents
from tests.support.servers import VALID, command, copydesk, environment, processes_naming, results, until
from worker.server_urls import normal_database_url
from worker.store import tables

OUTCOMES = ("stored", "updated", "unchanged", "superseded", "retracted", "rejected")


def test_a_first_run_stores_all_documents_and_a_second_finds_them_unchanged(tmp_path):
    first = copydesk("ingest", VALID, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    documents, summary = results(first.stdout)
    count = len(list(VALID.rglob("*.md")))
    assert count >= 5
    assert len(documents) == summary["submitted"] == count
    assert tuple(summary)[1:] == OUTCOMES
    assert {document["outcome"] for document in documents} <= {"stored", "updated"}
    assert all(set(document) == {"id", "lane", "path", "outcome", "url", "problems"} for document in documents)
    again = copydesk("ingest", VALID, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert results(again.stdout)[1]["unchanged"] == count
    assert processes_naming(str(tmp_path)) == [], "it stops what it started"


def test_without_json_messages_go_to_stderr_and_show_the_next_command(tmp_path):
    run = copydesk("ingest", VALID, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    for expected in ("Outcomes", *OUTCOMES, "copydesk status", "copydesk.db"):
        assert expected in run.stderr


@pytest.mark.parametrize("given", [pytest.param(("redis",), marks=pytest.mark.long), pytest.param(("database",), marks=pytest.mark.long),
                                   ("redis", "database")], ids="+".join)  # fmt: skip
def test_configured_servers_are_used_each_alone_too(given, tmp_path, valkey, migrated_postgres_url):
    settings = {}
    with valkey.client() as client:
        client.flushall()
        if "redis" in given:
            settings["COPYDESK_REDIS_URL"] = valkey.url
        if "database" in given:
            settings["COPYDESK_DATABASE_URL"] = migrated_postgres_url
        for expected in ({"stored", "updated"}, {"unchanged"}):
            run = copydesk("ingest", VALID, "--json", cwd=tmp_path, **settings)
            assert run.returncode == 0, run.stderr
            documents, _ = results(run.stdout)
            assert {document["outcome"] for document in documents} <= expected
        assert client.exists("documents") == ("redis" in given)
    assert (tmp_path / ".copydesk" / "copydesk.db").exists() == ("database" not in given)
    assert (tmp_path / ".copydesk" / "valkey").exists() == ("redis" not in given)
    if "database" in given:
        engine = create_engine(normal_database_url(migrated_postgres_url))
        with engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(tables.receipts)) == 2 * len(documents)
        engine.dispose()


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_the_seed_is_stored_with_its_exact_values(store, tmp_path, request):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "seed.txt").write_text(SEED_SHAPED, "utf-8")
    settings, url = {}, f"sqlite:///{tmp_path}/.copydesk/copydesk.db"
    if store == "postgresql":
        url = request.getfixturevalue("migrated_postgres_url")
        settings["COPYDESK_DATABASE_URL"] = url
    run = copydesk("ingest", folder, "--json", cwd=tmp_path, **settings)
    assert run.returncode == 0, run.stderr
    ((receipt,), _) = results(run.stdout)
    engine = create_engine(normal_database_url(url))
    with engine.connect() as connection:
        article = connection.execute(select(tables.articles).where(~tables.articles.c.is_stub)).one()
        providers = dict(connection.execute(select(tables.providers.c.domain, tables.providers.c.name)).all())
        topics = connection.execute(
            select(tables.topics.c.name)
            .join(tables.article_topics, tables.article_topics.c.topic_id == tables.topics.c.id)
            .where(tables.article_topics.c.article_id == article.id, tables.article_topics.c.origin == "stated")
            .order_by(tables.article_topics.c.rank)
        ).scalars().all()  # fmt: skip
        images = connection.execute(select(tables.images).where(tables.images.c.article_id == article.id)).all()
        stubs = connection.execute(
            select(tables.articles.c.id, tables.articles.c.title, tables.articles.c.canonical_url).where(tables.articles.c.is_stub)
        ).all()  # fmt: skip
        links = connection.execute(
            select(tables.links)
            .where(tables.links.c.source_id == article.id, tables.links.c.kind == "related")
            .order_by(tables.links.c.rank)
        ).all()
        aliases = connection.execute(
            select(tables.article_urls.c.claim, tables.article_urls.c.url).where(tables.article_urls.c.article_id == article.id)
        ).all()  # fmt: skip
    engine.dispose()
    assert article.title == "Harbour council drops camera trial after protests"
    assert article.published_at == datetime(2020, 5, 29, 22, 57, tzinfo=UTC)
    assert (article.heat, article.reported_heat, article.is_published, article.reported_published) == (
        -1,
        -1,
        False,
        False,
    )
    assert (article.category, article.kind, article.quality) == ("news", "article", 34)
    assert article.secured.endswith(";AAECAwQFBgcICQoLDA0ODw==")
    assert topics == ["Natural Language Processing", "AI", "Computer Vision"]
    assert [(image.width, image.height, image.is_cached) for image in images] == [(1280, 720, True)]
    assert providers == {
        "northhavencourier.com": "Northhaven Courier & Echo", "bridgegate.com": "BridgeGate",
        "southfieldobserver.com": "Southfield Observer", "westporttribune.com": "Westport Tribune",
    }  # fmt: skip
    assert sorted(stub.title for stub in stubs) == [
        "Harbour council drops camera trial",
        "Harbour council drops camera trial after protests",
        "Harbour council drops camera trial after protests",
    ]
    assert [(link.kind, link.rank) for link in links] in (
        [("related", n) for n in range(3)],
        [("related", n) for n in range(1, 4)],
    )
    assert {link.target_id for link in links} == {stub.id for stub in stubs}
    assert {(claim, url) for claim, url in aliases if claim != "web"} == {
        ("amp", "https://amp.northhavencourier.com/news/business/article100200300.html"),
        ("cdn_amp", "https://amp-northhavencourier-com.cdn.ampproject.org/c/s/amp.northhavencourier.com/news/business/article100200300.html"),
    }  # fmt: skip
    assert receipt["url"] == article.canonical_url


@pytest.mark.parametrize(("number", "moment"), [
    (signal.SIGTERM, "starting"), (signal.SIGINT, "working"),
    pytest.param(signal.SIGINT, "starting", marks=pytest.mark.long),
    pytest.param(signal.SIGTERM, "working", marks=pytest.mark.long),
])  # fmt: skip
def test_a_stopped_ingest_leaves_no_process_and_loses_no_document(number, moment, tmp_path):
    count = 120 if moment == "working" else 50
    folder = write_documents(tmp_path / "in", count)
    # A linker takes two seconds of CPU to start, and it starts first. Small batches: many are left after the first one.
    link = "true" if moment == "starting" else "false"
    settings = environment(COPYDESK_LINK=link, COPYDESK_BATCH_DOCUMENTS="20")
    process = subprocess.Popen(command("ingest", folder), cwd=tmp_path, env=settings, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    if moment == "starting":
        until(lambda: (tmp_path / ".copydesk" / "valkey.sock").exists(), what="Valkey listens")
    else:
        until(lambda: _receipts(tmp_path) > 0, what="the first batch is stored", every=0.005)
    process.send_signal(number)
    _, talk = process.communicate(timeout=120)
    assert process.returncode == 130, talk.decode()
    assert b"Traceback" not in talk
    assert processes_naming(str(tmp_path)) == []
    # Documents in flight are not lost: after the next run every document is stored.
    if moment == "working":
        assert _receipts(tmp_path) < count
        again = copydesk("ingest", folder, "--json", cwd=tmp_path)
        assert sum(results(again.stdout)[1][name] for name in OUTCOMES) == count, again.stderr


def _receipts(folder):
    database = folder / ".copydesk" / "copydesk.db"
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT count(*) FROM receipts").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_two_ingests_in_one_folder_share_the_embedded_servers(tmp_path):
    """The second command finds the first one's Valkey; each document still has one outcome, and no process is left
    running.
    """
    one, two = write_documents(tmp_path / "one", 100), write_documents(tmp_path / "two", 40)
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lambda folder: copydesk("ingest", folder, "--json", cwd=tmp_path), (one, two)))
    for run, count in zip(ended, (100, 40), strict=True):
        assert run.stdout, run.stderr
        assert Counter(document["outcome"] for document in results(run.stdout)[0]).total() == count, run.stderr
    assert processes_naming(str(tmp_path)) == []
