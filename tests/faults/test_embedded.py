"""The embedded Valkey stopped, killed, slow and corrupted, its owner killed and doubled, while every reading command is
run.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine, select

from tests.e2e.documents import document
from tests.support.servers import Background, copydesk, processes_naming, until
from worker.runtime.embedded.ownership import OWNER, USERS, VALKEY, holder_of
from worker.settings import embedded_redis_url
from worker.store.tables import receipts

# The shortest lease that the order of time-outs allows: entries of a killed worker come back after it.
SETTINGS = {"COPYDESK_STATEMENT_SECONDS": "2", "COPYDESK_IDLE_TRANSACTION_SECONDS": "2.5", "COPYDESK_TASK_SECONDS": "3",
            "COPYDESK_LEASE_SECONDS": "4", "COPYDESK_LINK": "false"}  # fmt: skip
RATE = 25
READING = ("status", "status --json", "tail --seconds 0", "sources", "explain 1.md", "stories", "similar --all --most 1", "audit",
           "health", "dead list", "dead show 1", "metrics --once", "lane list")  # fmt: skip
NEED_REDIS = ("status", "tail --seconds 0", "audit", "health", "metrics --once", "lane list")
NEED_THE_STORE = ("sources", "stories", "similar --all --most 1", "explain 1.md", "dead list")


class Crawler(threading.Thread):
    """Adds 25 documents a second and records the ids that were acknowledged; never adds one again."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._ended = threading.Event()
        self.accepted: list[str] = []

    def run(self) -> None:
        number = 0
        with redis.Redis.from_url(self._url, socket_timeout=1, retry=None) as client:
            while not self._ended.wait(1 / RATE):
                number += 1
                fields = {"raw": document(number % 300, 10), "source": "crawler", "key": f"{number % 300}.md"}
                try:
                    self.accepted.append(client.xadd("documents", fields).decode())
                except (redis.RedisError, OSError):
                    continue

    def stop(self) -> None:
        self._ended.set()
        self.join()


class Watch(threading.Thread):
    """Counts the Valkey processes of a folder in a thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._ended = threading.Event()
        self.most: list[int] = []

    def run(self) -> None:
        while not self._ended.wait(0.05):
            found = self.valkeys()
            self.most = max(self.most, found, key=len)

    def valkeys(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if (
                    entry.name.isdigit()
                    and (entry / "exe").readlink().name.startswith("valkey")
                    and (entry / "cwd").readlink() == self._folder / ".copydesk" / "valkey"
                    and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                    and b"rewrite" not in (entry / "cmdline").read_bytes()  # a child of Valkey that rewrites its file
                ):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def stop(self) -> None:
        self._ended.set()
        self.join()


class Trial:
    """`copydesk up` in a folder, with a crawler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".copydesk"
        self.url = embedded_redis_url(self.data)
        self.crawler, self.watch = Crawler(self.url), Watch(folder)
        self.deaths: list[float] = []
        """When Valkey was killed, as seconds since 1970."""
        self.up = self.start_up()

    def start_up(self) -> Background:
        up = Background("up", cwd=self.folder, **SETTINGS)
        up.says("serves the lanes")
        return up

    @property
    def valkey(self) -> int:
        return holder_of(self.data / VALKEY).pid

    def run(self, line: str):
        done = copydesk(*line.split(), cwd=self.folder, **SETTINGS)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def outcomes(self) -> set[str]:
        engine = create_engine(f"sqlite:///{self.data}/copydesk.db")
        with engine.connect() as connection:
            found = {row.id for row in connection.execute(select(receipts.c.id))}
        engine.dispose()
        return found

    def flows_again(self) -> None:
        """Wait until documents that are accepted from now on get their outcome."""
        known = len(self.crawler.accepted)
        until(lambda: len(self.crawler.accepted) > known, what="documents are accepted again")
        wanted = self.crawler.accepted[known]
        until(lambda: wanted in self.outcomes(), what=f"{wanted} has its outcome", every=0.2)

    # Faults

    def stopped(self) -> None:
        """Commands report it, and none starts another server; commands that need only the store answer."""
        pid = self.valkey
        os.kill(pid, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(len(NEED_REDIS)) as at_once:  # each waits some seconds for Valkey
                ended = dict(zip(NEED_REDIS, at_once.map(self.run, NEED_REDIS), strict=True))
            for line, done in ended.items():
                assert done.returncode == 3, line + done.stdout + done.stderr
                assert f"running but does not answer (pid {pid})" in done.stdout + done.stderr, line
            for line in NEED_THE_STORE:
                assert self.run(line).returncode == 0, line
            second = self.run("up")
            assert second.returncode == 2
            assert f"already running (pid {self.up.process.pid})" in second.stderr
            assert self.run("submit nowhere.md").returncode == 2
            assert self.valkey == pid
        finally:
            os.kill(pid, signal.SIGCONT)

    def slow(self) -> None:
        for _ in range(3):
            pid = self.valkey
            os.kill(pid, signal.SIGSTOP)
            self.run(random.choice(READING))
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.2)

    def kill_valkey(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill Valkey, or stop it for whoever kills it next; return its process id."""
        pid = self.valkey
        os.kill(pid, number)
        self.deaths.append(time.time())
        return pid

    def may_be_lost(self, id_: str) -> bool:
        """Return whether a killed Valkey may have lost this entry: what it accepted in its last two seconds is not yet in
        its file if the disk is slow (`appendfsync everysec`).
        """
        at = int(id_.partition("-")[0]) / 1000
        return any(-0.1 < death - at < 2.5 for death in self.deaths)

    def killed(self) -> None:
        self.kill_valkey()
        self.run(random.choice(READING))

    def corrupted(self) -> None:
        """Valkey is killed, and garbage is appended to its file before its owner restarts it."""
        self.up.process.send_signal(signal.SIGSTOP)
        pid = self.kill_valkey()
        until(lambda: pid not in self.watch.valkeys(), what="Valkey has ended")
        with sorted((self.data / "valkey/appendonlydir").glob("*.incr.aof"))[-1].open("ab") as file:
            file.write(random.choice([b"*5\r\n$4\r\nXADD\r\n$9\r\ndocu", b"\0" * 4096, random.randbytes(300)]))
        before = len(self.copies())
        self.up.process.send_signal(signal.SIGCONT)
        until(lambda: len(self.copies()) > before, what="the damaged file was copied")
        self.up.says("The append-only file was damaged")

    def copies(self) -> list[Path]:
        return list((self.data / "valkey").glob("damaged-*"))

    def owner_killed(self) -> None:
        self.up.process.kill()
        self.up.process.wait()
        self.run(random.choice(READING))
        self.up = self.start_up()

    def owner_and_valkey_killed(self) -> None:
        """Valkey is stopped first, so that only SIGKILL or SIGCONT has an effect on it."""
        self.kill_valkey(signal.SIGSTOP)
        self.up.process.kill()
        self.up.process.wait()
        self.up = self.start_up()

    def check(self) -> None:
        self.crawler.stop()
        with redis.Redis.from_url(self.url) as client:
            until(lambda: client.xlen("documents") == 0, what="the backlog is done")
        missing = sorted(set(self.crawler.accepted) - self.outcomes())
        assert [id_ for id_ in missing if not self.may_be_lost(id_)] == []
        assert self.run("audit").returncode == 0
        assert self.up.interrupt() == 0, self.up.text()
        self.watch.stop()
        assert len(self.watch.most) == 1
        for name in (OWNER, VALKEY, USERS):
            with (self.data / name).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert processes_naming(str(self.folder)) == []


FAULTS = (Trial.stopped, Trial.killed, Trial.corrupted, Trial.owner_killed, Trial.owner_and_valkey_killed, Trial.slow)


@pytest.fixture
def trial(tmp_path):
    found = Trial(tmp_path)
    found.crawler.start()
    found.watch.start()
    yield found
    found.crawler.stop()
    found.watch.stop()
    found.up.__exit__()
    for pid in processes_naming(str(tmp_path)):
        os.kill(pid, signal.SIGKILL)


def test_one_valkey_runs_and_nothing_is_lost_after_a_fault(trial):
    trial.flows_again()
    for fault in FAULTS:
        fault(trial)
        trial.flows_again()
    trial.check()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_one_valkey_runs_and_nothing_is_lost_during_ten_minutes_of_random_faults(trial):
    trial.flows_again()
    ended = threading.Event()

    def read_all_the_while() -> None:
        while not ended.is_set():
            assert trial.run(random.choice(READING)).returncode in (0, 1, 2, 3, 4)

    readers = [threading.Thread(target=read_all_the_while, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        random.choice(FAULTS)(trial)
        began = time.monotonic()
        trial.flows_again()
        print(f"documents flow again after {time.monotonic() - began:.1f} s")
        time.sleep(random.uniform(0, 5))
    ended.set()
    for reader in readers:
        reader.join()
    trial.check()
