"""A system as in production: a Valkey with the users of worker/deploy/users.acl, and a worker with a worker's rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import redis

from tests.support.servers import ROOT, Background, Valkey, copydesk, free_port, until

ACL = ROOT / "worker" / "deploy" / "users.acl"


class GuardedSystem:
    """The password of each user is its name. With `tcp` the server listens on a port of 127.0.0.1 too."""

    def __init__(self, *, tcp: bool = False, options: tuple[str, ...] = (), program: str = "", **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cd-desk-"))
        users = self.folder / "users.acl"
        users.write_text(re.sub(r">([A-Z]+)_PASSWORD", lambda match: f">{match[1].lower()}", ACL.read_text("utf-8")))
        self.port = free_port() if tcp else 0
        options = ("--aclfile", str(users), *options)
        self.server = Valkey(port=self.port, options=options, credentials="operator:operator", program=program)
        self.settings = {"COPYDESK_DATABASE_URL": f"sqlite:///{self.folder / 'store.db'}", **settings}
        self.worker: Background | None = None

    def url(self, user: str) -> str:
        return (
            f"redis://{user}:{user}@127.0.0.1:{self.port}"
            if self.port
            else f"unix://{user}:{user}@{self.server.socket}"
        )

    def client(self, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(user))

    def copydesk(self, *arguments: object, user: str = "operator"):
        return copydesk(*arguments, cwd=self.folder, COPYDESK_REDIS_URL=self.url(user), **self.settings)

    def __enter__(self) -> GuardedSystem:
        self.server.start()
        migrated = self.copydesk("db", "upgrade")
        assert migrated.returncode == 0, migrated.stderr
        self.worker = Background("worker", cwd=self.folder, COPYDESK_REDIS_URL=self.url("worker"),
                                 **{"COPYDESK_LINK": "true", **self.settings})  # fmt: skip
        with self.client("operator") as client:
            until(lambda: client.exists("copydesk:slow-down"), seconds=90, what="the worker is at work")
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.__exit__()
        text = self.worker.text()
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert "NOPERM" not in text
        assert "No permissions" not in text


def make_certificate(folder: Path) -> Path:
    """Create a self-signed certificate for localhost in `folder`: cert.pem and key.pem."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout",
         "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


class TlsSystem(GuardedSystem):
    """Reached only by TLS. With `known` the clients trust its certificate by default, like one of a public authority."""

    def __init__(self, certificate: Path, *, known: bool = False) -> None:
        self.tls_port, self.certificate, self.known = free_port(), certificate, known
        super().__init__(options=(
            "--tls-port", str(self.tls_port), "--tls-cert-file", str(certificate / "cert.pem"), "--tls-key-file",
            str(certificate / "key.pem"), "--tls-ca-cert-file", str(certificate / "cert.pem"), "--tls-auth-clients", "no",
        ), program=shutil.which("redis-server") or "")  # fmt: skip

    def url(self, user: str) -> str:
        url = f"rediss://{user}:{user}@localhost:{self.tls_port}"
        return url if self.known else f"{url}/0?ssl_ca_certs={self.certificate / 'cert.pem'}"
