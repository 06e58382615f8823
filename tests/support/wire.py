"""A TCP proxy in front of PostgreSQL that counts round trips and adds a delay to each.

A round trip is what a client has to wait for: it begins with bytes that the client sends after it has received
something, and everything that the client sends before the next answer arrives belongs to it. So ten statements in one
pipeline are one round trip, and `BEGIN` sent alone is one of its own. Count with a delay (`COUNTING_DELAY_SECONDS`):
without one, an answer to the first statement of a pipeline may arrive before the client has sent the second.

    with Wire(url) as wire:                       # in this process
        connect(wire.url) …
        wire.round_trips()
    python -m tests.support.wire URL --ms 5       # as a process of its own, for measurements: prints its URL
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parent.parent.parent
COUNTING_DELAY_SECONDS = 0.1
"""Longer than a client needs between two statements of one pipeline, also on a loaded machine."""
_LOCK = b"pg_advisory_xact_lock"
_CHUNK = 1 << 18
_UNTYPED = 8  # bytes of an untyped message of the protocol's beginning: its length and a code


@dataclass(slots=True)
class RoundTrip:
    """One round trip. `statements`: the SQL that the client sent in it; `locked`: whether the writer lock was held or
    asked for in it; `first` and `last`: seconds of `time.monotonic`, at the server's side of the delay.
    """

    connection: int
    statements: list[str] = field(default_factory=list)
    locked: bool = False
    bytes_sent: int = 0
    first: float = 0.0
    last: float = 0.0


class _Messages:
    """Splits one direction of the protocol into messages. A body is kept to its first 4 kB."""

    def __init__(self, *, untyped: bool) -> None:
        self._untyped = untyped  # a client's first messages have no type: SSLRequest, StartupMessage
        self._head = bytearray()
        self._missing = 0
        self._kept: tuple[bytes, bytearray] | None = None

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return (type, beginning of the body) of each message that ends in `data`."""
        view = memoryview(data)
        while len(view):
            if self._kept is None:
                size = _UNTYPED if self._untyped else 5
                taken = size - len(self._head)
                self._head += view[:taken]
                view = view[taken:]
                if len(self._head) < size:
                    return
                yield from self._begin()
            else:
                body = self._kept[1]
                part, view = view[: self._missing], view[self._missing :]
                self._missing -= len(part)
                body += part[: max(0, 4096 - len(body))]
                yield from self._end()

    def _begin(self) -> Iterator[tuple[bytes, bytes]]:
        head, self._head = bytes(self._head), bytearray()
        if self._untyped:
            length, code = struct.unpack("!II", head)
            self._missing = length - _UNTYPED
            self._kept = (b"", bytearray())
            self._untyped = code >> 16 == 1234  # SSLRequest, GSSENCRequest: the startup message comes after it
        else:
            (length,) = struct.unpack("!I", head[1:])
            self._missing = length - 4
            self._kept = (head[:1], bytearray())
        yield from self._end()

    def _end(self) -> Iterator[tuple[bytes, bytes]]:
        if self._kept is not None and self._missing == 0:
            kind, body = self._kept
            self._kept = None
            yield kind, bytes(body)


class _Recorder:
    """Counts the round trips of one connection, from what passes on the client's and on the server's side."""

    def __init__(self, number: int, record: list[RoundTrip]) -> None:
        self._number, self._record = number, record
        self._asked, self._answered = _Messages(untyped=True), _Messages(untyped=False)
        self._open: RoundTrip | None = None  # None: the client has received an answer since it sent something
        self._locked = self._started = False
        self._prepared: dict[bytes, str] = {}

    def sent(self, data: bytes) -> None:
        """The client has sent `data`."""
        statements = [text for kind, body in self._asked.feed(data) if (text := self._statement(kind, body))]
        if not self._started:
            return  # the connection is still being set up
        if self._open is None:
            self._open = RoundTrip(self._number, locked=self._locked)
            self._record.append(self._open)
        self._open.statements += statements
        self._open.bytes_sent += len(data)
        if any(_LOCK.decode() in text for text in statements):
            self._locked = self._open.locked = True

    def _statement(self, kind: bytes, body: bytes) -> str:
        """Return the SQL that a Query or Bind message executes, else nothing."""
        if kind == b"Q":
            return body.split(b"\0", 1)[0].decode("utf-8", "replace")
        if kind == b"P":
            name, text = body.split(b"\0", 2)[:2]
            self._prepared[name] = text.decode("utf-8", "replace")
        return self._prepared[body.split(b"\0", 2)[1]] if kind == b"B" else ""

    def answered(self, data: bytes, at: float) -> None:
        """The server has sent `data`; the client has not received it yet."""
        for kind, body in self._answered.feed(data):
            if kind == b"Z" and body == b"I":  # ReadyForQuery, outside of a transaction: the lock is free
                self._locked = False
                self._started = True
        if self._open is not None:
            self._open.last = at

    def delivered(self, at: float, *, to_server: bool) -> None:
        """Something has arrived at the server, or at the client."""
        if not to_server:
            self._open = None
        elif self._open is not None and not self._open.first:
            self._open.first = at


class Wire:
    """Forwards 127.0.0.1:`port` to the server of `url`, each direction half of `delay_seconds` later."""

    def __init__(self, url: str, *, delay_seconds: float = 0.0, count: bool = True) -> None:
        self._target = _address(url)
        self._count = count
        self.delay_seconds = delay_seconds
        self._record: list[RoundTrip] = []
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        given = conninfo_to_dict(url)
        user = (
            f"{given.get('user', 'postgres')}:{given['password']}"
            if given.get("password")
            else given.get("user", "postgres")
        )
        self.url = f"postgresql://{user}@127.0.0.1:{self._listener.getsockname()[1]}/{given.get('dbname', 'postgres')}?sslmode=disable"

    def __enter__(self) -> Wire:
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        # The threads close their sockets themselves: a descriptor that is closed here could already be another file.
        for end in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)

    def round_trips(self, *, clear: bool = False) -> list[RoundTrip]:
        """Return the round trips so far, in the order of their beginning; the setup of connections does not count."""
        found = list(self._record)
        if clear:
            self._record.clear()
        return found

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="wire")
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        with self._listener, contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._connections.append(client)
                self._start(self._forward, client, len(self._connections))

    def _forward(self, client: socket.socket, number: int) -> None:
        family, address = self._target
        server = socket.socket(family)
        with client, server, contextlib.suppress(OSError):
            server.connect(address)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if family == socket.AF_INET:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            recorder = _Recorder(number, self._record) if self._count else None
            _Pump(client, server, recorder, lambda: self.delay_seconds / 2).run()


class _Direction:
    """What one side has sent and the other has not received yet: (when to deliver it, bytes), oldest first."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.queue: deque[tuple[float, memoryview]] = deque()
        self.is_blocked = False  # the target's buffer is full

    def deliver(self) -> bool:
        """Deliver what is due; returns whether there was something."""
        delivered = False
        while self.queue and self.queue[0][0] <= time.monotonic():
            due, data = self.queue.popleft()
            delivered = True
            try:
                size = self.target.send(data)
            except BlockingIOError:
                size = 0
            self.is_blocked = size < len(data)
            if self.is_blocked:
                self.queue.appendleft((due, data[size:]))
                break
        return delivered


class _Pump:
    """Moves bytes between two sockets. `select.select` waits to the microsecond; epoll rounds to milliseconds."""

    def __init__(
        self, client: socket.socket, server: socket.socket, recorder: _Recorder | None, delay: Callable[[], float]
    ) -> None:
        self._recorder, self._delay = recorder, delay
        self._to_server, self._to_client = _Direction(client, server), _Direction(server, client)
        for end in (client, server):
            end.setblocking(False)

    def run(self) -> None:
        """Forward until one side closes, then deliver what is still on its way."""
        both = (self._to_server, self._to_client)
        is_open = True
        while is_open or any(way.queue for way in both):
            due = [way.queue[0][0] for way in both if way.queue and not way.is_blocked]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            sources = [way.source for way in both] if is_open else []
            blocked = [way.target for way in both if way.is_blocked]
            ready = select.select(sources, blocked, [], timeout)[0]
            now = time.monotonic()
            for way in both:
                if way.source in ready:
                    data = way.source.recv(_CHUNK)
                    is_open = is_open and bool(data)
                    if data:
                        self._take(way, data, now)
            for way in both:
                if way.deliver() and self._recorder is not None:
                    self._recorder.delivered(time.monotonic(), to_server=way is self._to_server)

    def _take(self, way: _Direction, data: bytes, now: float) -> None:
        if self._recorder is not None and way is self._to_server:
            self._recorder.sent(data)
        elif self._recorder is not None:
            self._recorder.answered(data, now)
        way.queue.append((now + self._delay(), memoryview(data)))


def _address(url: str) -> tuple[int, str | tuple[str, int]]:
    """Return the family and the address of the server of a PostgreSQL URL: a unix socket, or host and port."""
    given = conninfo_to_dict(url)
    host, port = str(given.get("host") or "/tmp"), int(given.get("port") or 5432)
    if host.startswith("/"):
        return socket.AF_UNIX, f"{host}/.s.PGSQL.{port}"
    return socket.AF_INET, (host, port)


@contextlib.contextmanager
def delayed(url: str, *, milliseconds: float) -> Iterator[str]:
    """Return the URL of a Wire in a process of its own, so that no other thread's work makes the delay longer."""
    command = [sys.executable, "-m", "tests.support.wire", url, "--ms", str(milliseconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = process.stdout.readline().strip()
        assert found, "the proxy did not start"
        yield found
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--ms", type=float, default=5.0, help="milliseconds of a round trip")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with contextlib.suppress(OSError, AttributeError):
        # Where it is permitted: a busy machine must not lengthen the delay.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with Wire(options.url, delay_seconds=options.ms / 1000, count=False) as wire:
        print(wire.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
