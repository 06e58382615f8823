"""A real PgBouncer between the workers and a PostgreSQL of the tests; it can be killed and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.faults.stores import PostgresStore
from tests.support.guard import temporary_folder
from tests.support.servers import free_port, missing, until

_USER = "nobody"
"""PgBouncer refuses to run as root."""
_POOL = 4
"""Sessions of the server; fewer than the workers have connections, so that each session serves several of them."""


def program() -> str | None:
    """Return the path of PgBouncer; None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PgBouncer:
    """Listens on `port` of 127.0.0.1 and forwards to the PostgreSQL that listens on `server_port`. `mode`: its
    pool_mode.
    """

    def __init__(self, server_port: int, mode: str) -> None:
        self._folder = Path(temporary_folder("pgbouncer"))
        self.port = free_port()
        self._log = self._folder / "log"
        self._config = self._folder / "pgbouncer.ini"
        self._config.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={server_port} user=postgres\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = {_POOL if mode == 'transaction' else 40}\n"
            "server_login_retry = 1\n"  # seconds before it retries after a failure; 15 is the default
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> PgBouncer:
        found = program()
        assert found is not None
        command = [found, str(self._config)]
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER)
            command[1:1] = ["-u", _USER]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until(self._answers, seconds=30, what="PgBouncer answers")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text("utf-8", "replace")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=30)

    def restart(self, *, down_seconds: float = 0.5) -> None:
        """Kill it and start it again."""
        self.end()
        time.sleep(down_seconds)
        self.start()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end()
        shutil.rmtree(self._folder, ignore_errors=True)


class PooledStore(PostgresStore):
    """A PostgreSQL that the workers reach only through PgBouncer."""

    def __init__(self, mode: str) -> None:
        if program() is None:
            missing("PgBouncer", "it is Debian's package pgbouncer")
        super().__init__()
        self.pooler = PgBouncer(self.proxy.port, mode).start()
        self.workers_url = f"postgresql://postgres@127.0.0.1:{self.pooler.port}/postgres"

    def terminate(self) -> None:
        """End every session of PgBouncer."""
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                 "AND pid <> pg_backend_pid()")  # fmt: skip

    def stop(self) -> None:
        self.pooler.stop()
        super().stop()
