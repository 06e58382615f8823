"""A TCP proxy in front of a server, with which a test injects network faults: reset, refuse, drop, slow down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST


class Proxy:
    """Forwards 127.0.0.1:`port` to a server's unix socket."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = str(upstream)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.swallows = False
        self.delay_seconds = 0.0
        self.port = 0
        self._call(self._listen())

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._upstream)
        finally:
            connection.abort()
            self._connections.discard(connection)

    def cut(self) -> int:
        """Reset every connection; returns how many there were."""

        async def work() -> int:
            found = list(self._connections)
            for connection in found:
                connection.abort()
            return len(found)

        return self._call(work())

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse new connections and reset the existing ones."""

        async def close() -> None:
            assert self._server is not None
            self._server.close()

        self._call(close())
        self.cut()
        try:
            yield
        finally:
            self._call(self._listen())

    @contextlib.contextmanager
    def black_hole(self) -> Iterator[None]:
        """Accept connections and drop everything that is sent, without an answer; connections that sent something stay
        dead.
        """
        self.swallows = True
        try:
            yield
        finally:
            self.swallows = False

    @contextlib.contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Delay every chunk by `seconds`."""
        self.delay_seconds = seconds
        try:
            yield
        finally:
            self.delay_seconds = 0.0

    def stop(self) -> None:
        async def close() -> None:
            if self._server is not None:
                self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.cut()
        self._call(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()


class _Connection:
    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._is_dead = False

    async def run(self, reader: asyncio.StreamReader, upstream: str) -> None:
        with contextlib.suppress(OSError):
            from_server, self._server = await asyncio.open_unix_connection(upstream)
            pumps = [self._pump(reader, self._server), self._pump(from_server, self._client)]
            tasks = [asyncio.ensure_future(pump) for pump in pumps]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if self._proxy.swallows:
                    self._is_dead = True
                if self._is_dead:
                    continue
                if self._proxy.delay_seconds:
                    await asyncio.sleep(self._proxy.delay_seconds)
                writer.write(data)
                await writer.drain()

    def abort(self) -> None:
        for writer in filter(None, (self._client, self._server)):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, ValueError):
                if sock is not None and sock.family == socket.AF_INET:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
