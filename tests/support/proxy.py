"""A TCP proxy in front of a server's unix socket that loses requests or replies."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path


class Proxy:
    """Asks `fate` at each connection's first FCALL: `pass`, `drop_request` (it never arrives), `drop_reply`."""

    def __init__(self, target: Path, fate: Callable[[], str]) -> None:
        self._target, self._fate = target, fate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self.broken = 0

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._forward, args=(self._listener.accept()[0],), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._target))
        silent = threading.Event()
        back = threading.Thread(target=self._back, args=(server, client, silent), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                fate = self._fate() if b"FCALL" in data else "pass"
                if fate != "pass":
                    self.broken += 1
                if fate == "drop_request":
                    break
                if fate == "drop_reply":
                    silent.set()
                    server.sendall(data)
                    # The rest of a long command follows at once; the server's answer to that command is lost.
                    client.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        while more := client.recv(1 << 16):
                            server.sendall(more)
                    break
                server.sendall(data)
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _back(self, server: socket.socket, client: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if not silent.is_set():
                    client.sendall(data)
