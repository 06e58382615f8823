"""A producer that sends documents all the time: new ones, updates, retractions and invalid ones, on several lanes."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence

import redis

from tests.faults.manifest import Manifest, Sent, now

LANES = ("documents", "documents:urgent", "documents:bulk")
AGAIN = "documents:again"
"""A lane for documents of a test that would disturb the traffic."""
ALL_LANES = (*LANES, AGAIN)
_SOURCES = ("north", "south", "east")
_KEYS = 150
_WORDS = ("harbour", "council", "storm", "bridge", "museum", "ferry", "budget", "election", "robot", "library", "garden",
          "school", "river", "bakery", "concert", "engine", "market", "signal", "valley", "theatre")  # fmt: skip


class Traffic(threading.Thread):
    """Keeps about `backlog` documents waiting, at most `rate` a second, until stopped.

    Every second document goes over `remote`, a connection whose network a test may break. The producer never sends a
    document
    again when it got no answer, so the manifest knows how often each was sent.
    """

    def __init__(self, manifest: Manifest, local: redis.Redis, remote: redis.Redis, *, seed: int = 0, backlog: int = 30,
                 rate: float = 60) -> None:  # fmt: skip
        super().__init__(daemon=True, name="traffic")
        self.manifest = manifest
        self._clients = (local, remote)
        self._muted_until = [0.0, 0.0]
        self._draw = random.Random(seed)
        self._backlog = backlog
        self._rate = rate
        self._flows = threading.Event()
        self._is_still = threading.Event()
        self._ended = False
        self._number = 0
        self._last: dict[tuple[str, int], Sent] = {}

    def resume(self) -> None:
        self._is_still.clear()
        self._flows.set()

    def pause(self) -> None:
        """Pause sending; returns when nothing is in flight any more."""
        self._flows.clear()
        self._is_still.wait(timeout=30)

    def stop(self) -> None:
        self._ended = True
        self._flows.set()
        self.join(timeout=30)
        for client in self._clients:
            client.close()

    def run(self) -> None:
        while not self._ended:
            if not self._flows.is_set():
                self._is_still.set()
                self._flows.wait()
                continue
            started = time.monotonic()
            if self._wanted():
                for _ in range(10):
                    self.send(self.draw())
                time.sleep(max(0.0, 10 / self._rate - (time.monotonic() - started)))
            else:
                # Never quite zero, so that a test sees when documents are stored again.
                self.send(self.draw())
                time.sleep(0.1)

    def _wanted(self) -> bool:
        try:
            return sum(self._clients[0].xlen(lane) for lane in LANES) < self._backlog
        except redis.RedisError:
            return True  # a crawler continues after an error

    def send(self, sent: Sent, client: redis.Redis | None = None, *, id_: str = "*") -> Sent:
        """Add it, and record the result."""
        which = sent.number % 2 if time.monotonic() >= self._muted_until[1] else 0
        client = client or self._clients[which]
        try:
            sent.id = client.xadd(sent.lane, fields(sent), id=id_).decode()
            sent.sure = True
        except redis.RedisError:
            self._muted_until[which] = time.monotonic() + 1
            time.sleep(0.02)
        self.manifest.add(sent)
        return sent

    def draw(self) -> Sent:
        """Return the next document."""
        draw, self._number = self._draw, self._number + 1
        source, key = draw.choice(_SOURCES), draw.randrange(_KEYS)
        lane, kind = draw.choices(LANES, (6, 2, 2))[0], draw.random()
        # Every tenth document has no key: its URL is its identity.
        name = f"stories/{key}.md" if key % 10 else None
        # Some documents move to the URL of their neighbour, so that two documents describe one article.
        article = key + 1 if name and draw.random() < 0.05 else key
        sent = Sent(self._number, now(), lane, source, name, "put", f"https://www.{source}.example/story-{article}")
        if kind < 0.05:
            sent.op, sent.key = "retract", name or sent.url
        elif kind < 0.08:
            sent.code = draw.choice(("no_front_matter", "unknown_op", "yaml_unquoted_colon"))
        else:
            last = self._last.get((source, key))
            repeats = kind < 0.25 and last is not None
            # A document that repeats the text of its last version changes only its secured value.
            sent.title = last.title if repeats and last else f"Dispatch {self._number} on the {draw.choice(_WORDS)}"
            sent.url = last.url if repeats and last else sent.url
            sent.related = last.related if repeats and last else self._related(source, key)
            sent.secured = f"{draw.randbytes(24).hex()};AAECAwQFBgcICQoLDA0ODw=="
            self._last[source, key] = sent
        return sent

    def _related(self, source: str, key: int) -> tuple[str, ...]:
        others = self._draw.sample([n for n in range(_KEYS) if n not in (key, key + 1)], 3)
        return tuple(f"https://www.{source}.example/story-{other}" for other in others)

    def good(self, lane: str = LANES[0]) -> Sent:
        """Return a document that must be accepted, on `lane`."""
        while (sent := self.draw()).code or sent.op != "put":
            pass
        sent.lane = lane
        return sent


def fields(sent: Sent) -> dict[str, str]:
    """Return the stream entry."""
    entry = {"source": sent.source, "traceparent": f"00-{sent.trace}-00f067aa0ba902b7-01"}
    if sent.key is not None:
        entry["key"] = sent.key
    if sent.op == "retract":
        return {**entry, "op": "retract"}
    if sent.number % 5 == 0:
        entry["reply_to"] = "replies:traffic"
    if sent.code == "unknown_op":
        entry["op"] = "destroy"
    return {**entry, "raw": text_of(sent)}


def text_of(sent: Sent) -> str:
    """Return the document itself."""
    if sent.code == "no_front_matter":
        return f"Nothing but text, number {sent.number}.\n"
    if sent.code == "yaml_unquoted_colon":
        return f"---\ntitle: One: two: {sent.number}\nwebUrl: {sent.url}\n---\n"
    draw = random.Random(sent.title)
    lines = ["---", f"title: {sent.title or 'Destroyed'}", f"excerpt: {_sentence(draw)}", f"webUrl: {sent.url}", "type: article",
             "publishedDateTime: 2020-05-29T22:57:00Z", f"quality: {draw.randint(0, 120)}", "topics:",
             *(f"  - {word.title()}" for word in draw.sample(_WORDS, 3)), "related:"]  # fmt: skip
    for url in sent.related:
        lines += [f"  - title: {_sentence(draw)}", f"    webUrl: {url}", "    quality: 5"]
    if sent.secured:
        lines.append(f'secured: "{sent.secured}"')
    return "\n".join([*lines, "---", _sentence(draw), ""])


def _sentence(draw: random.Random) -> str:
    return " ".join(draw.choices(_WORDS, k=10)).capitalize()


def clients(*urls: str) -> Sequence[redis.Redis]:
    """Return connections of a crawler: short time-outs, no retries."""
    with contextlib.suppress(ImportError):
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        never = Retry(NoBackoff(), 0)
    return [redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=never) for url in urls]
