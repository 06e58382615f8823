"""Connections to a server: TLS with a private certificate, and Sentinels with a failover; the worker supports both."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time

import pytest
import redis

from tests.support.access_rights import TlsSystem, make_certificate
from tests.support.sentinels import Watched
from tests.support.servers import Background
from worker.producer.client import AsyncProducer, Producer
from worker.queue.connection import connect, sentinel_address

DOCUMENT = "---\ntitle: Ferry\nwebUrl: https://harbour-courier.example/ferry\n---\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None or shutil.which("redis-server") is None:
        pytest.skip("openssl or redis-server is not installed (Debian); the Valkey of the wheel is built without TLS")
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_commands_and_worker_use_tls(certificate):
    with TlsSystem(certificate) as system:
        with Producer(system.url("crawler")) as producer:
            assert producer.wait(producer.submit(DOCUMENT)).outcome == "stored"

        async def again():
            async with AsyncProducer(system.url("crawler")) as producer:
                return (await producer.wait(await producer.submit(DOCUMENT))).outcome

        assert asyncio.run(again()) == "unchanged"
        assert system.copydesk("audit").returncode == 0
        untrusting = f"rediss://crawler:crawler@localhost:{system.tls_port}"
        with connect(untrusting, retries=0) as client, pytest.raises(redis.ConnectionError, match=r"(?i)certificate"):
            client.ping()


@pytest.mark.parametrize("by_tls", [True, pytest.param(False, marks=pytest.mark.long)], ids=["tls", "plain"])
def test_a_producer_and_a_worker_follow_a_failover(by_tls, request, migrated_sqlite, tmp_path):
    with Watched(request.getfixturevalue("certificate") if by_tls else None) as watched:
        settings = {
            "COPYDESK_REDIS_URL": watched.url,
            "COPYDESK_DATABASE_URL": migrated_sqlite(tmp_path / "store.db"),
        }
        with Background("worker", cwd=tmp_path, **settings) as worker, Producer(watched.url, timeout=60) as producer:
            assert producer.wait(producer.submit(DOCUMENT), timeout=120).outcome == "stored", worker.text()
            time.sleep(0.5)  # replication is asynchronous: entries missing on the replica are lost with the primary
            watched.signal(watched.primary, signal.SIGKILL)
            id_ = producer.submit(DOCUMENT.replace("Ferry", "Ship"))
            assert producer.wait(id_, timeout=120).outcome == "updated", worker.text()
            with watched.client(watched.replica) as client:
                assert client.role()[0] == b"master"


def test_sentinel_urls_are_parsed():
    found = sentinel_address(
        "rediss+sentinel://me:p%40ss@one,two:26380,[::1]:5/desk/3?sentinel_password=s&ssl_ca_certs=/ca"
    )
    assert found.hosts == (("one", 26379), ("two", 26380), ("::1", 5))
    assert (found.service, found.server["username"], found.server["password"], found.server["db"]) == (
        "desk",
        "me",
        "p@ss",
        3,
    )
    assert (found.server["ssl"], found.server["ssl_ca_certs"], found.sentinel["password"]) == (True, "/ca", "s")
    assert "username" not in found.sentinel
    assert sentinel_address("redis://localhost") is None


def test_boolean_options_of_tls_are_parsed():
    found = sentinel_address("rediss+sentinel://one/desk?ssl_check_hostname=false&ssl_cert_reqs=none")

    assert (found.server["ssl_check_hostname"], found.sentinel["ssl_cert_reqs"]) == (False, "none")
