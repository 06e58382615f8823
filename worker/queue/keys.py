"""The names of all keys in Redis, and the types of those that last. (The key of a lane is the lane's name.)

No other module spells a key's name. Operators see these names (ACL files, redis-cli), so they must not change.
"""

from __future__ import annotations

CHANGE_FEED = "articles"
"""Stream: which articles and stories changed, for programs that read the store."""
OUTCOME_FEED = "copydesk:tail"
"""Stream: the outcomes that `copydesk tail` follows."""
PAUSED_LANES = "copydesk:lanes:paused"
"""Hash: lane → who paused it, when and why, as JSON."""
RESUMED_LANES = "copydesk:lanes:resumed"
"""Hash: lane → when it was last resumed, in seconds since 1970."""
WORKERS = "copydesk:workers"
"""Sorted set: names of workers, scored by the time of their last heartbeat."""
SLOW_DOWN = "copydesk:slow-down"
"""String: how many seconds producers should wait; the largest value of all lanes. Expires."""
STORE_TROUBLE = "copydesk:store-trouble"
"""String: set while a worker cannot use the store. Expires."""
MAINTAINED = "copydesk:maintained"
"""String: the worker that ran maintenance last. Expires when the next run is due."""
ROLLED_UP = "copydesk:rolled-up"
"""String: the worker that rolled the receipts up last. Expires when the next roll-up is due."""
TOKEN_CURSOR = "copydesk:tokens:cursor"  # noqa: S105  a cursor of SCAN, not a password
"""String: the SCAN cursor at which the removal of tokens without an expiry continues."""
NEWEST = "copydesk:newest"
"""String: the highest id by which an entry of any lane is ordered; ` back` follows while the server's clock is behind it."""
MINUTES = "copydesk:tally:"
"""Prefix of the hashes of counters; the minute since 1970 follows, by the server's clock."""
HOURS = "copydesk:hours:"
"""Prefix of the hashes of what took how long; the hour since 1970 follows, by the server's clock."""
TOKENS = "once:"
"""Prefix of the idempotency tokens. Crawlers may write them."""
OWN_PREFIXES = ("copydesk:", "replies:")
"""What the names of all keys begin with that are not a lane or the change feed."""
REPLY_SOURCES = "copydesk:reply-sources:"
"""Prefix of the sets of sources that use a receipt stream; the stream's name follows. Expires."""
PROBE_GROUP = "copydesk:probe"
"""A consumer group that exists only while `last_id.lua` reads a lane's last id."""
FOREIGN = "copydesk:foreign:"
"""Prefix of keys that had a type that Copydesk does not use for them, and were renamed; the former name follows."""


def outcomes(lane: str) -> str:
    """Hash: outcome → how many entries of the lane got it."""
    return f"copydesk:outcomes:{lane}"


def oversized(lane: str) -> str:
    """Hash: id of an entry beyond the size limit → its size in bytes."""
    return f"copydesk:giants:{lane}"


def crash_reports(lane: str) -> str:
    """Hash: id of an entry that may have caused a crash → its crash reports. Expires."""
    return f"copydesk:deaths:{lane}"


def store_timeouts(lane: str) -> str:
    """Hash: id of an entry whose storing failed → time-outs while it was alone, and how many were settled then. Expires."""
    return f"copydesk:store-timeouts:{lane}"


def paused_sources(lane: str) -> str:
    """Hash: paused source of the lane → who paused it, when and why, as JSON."""
    return f"copydesk:sources:paused:{lane}"


def resumed_sources(lane: str) -> str:
    """Hash: source of the lane → when it was last resumed, in seconds since 1970. Expires."""
    return f"copydesk:sources:resumed:{lane}"


def aside(lane: str) -> str:
    """Stream: entries that a repair of the lane must still add again; it exists only after an interrupted repair."""
    return f"copydesk:aside:{lane}"


def clock(lane: str) -> str:
    """String: the server's time at the last check of the leases, in milliseconds since 1970."""
    return f"copydesk:clock:{lane}"


def original_ids(lane: str) -> str:
    """Hash: id of an entry that was added again → the id that its producer received. Expires."""
    return f"copydesk:readded:{lane}"


def order_ids(lane: str) -> str:
    """Hash: id of an entry without an outcome → the id by which its version is ordered, if that is another one.

    After a blank the time of its arrival follows, in milliseconds since 1970, if that is not the time in this id.
    """
    return f"copydesk:order:{lane}"


def slow_down(lane: str) -> str:
    """String: how many seconds producers of the lane should wait. Expires."""
    return f"{SLOW_DOWN}:{lane}"


def worker(name: str) -> str:
    """Hash: the fields of a worker's last heartbeat. Expires."""
    return f"copydesk:worker:{name}"


def stop_request(worker: str) -> str:
    """String: who asked the worker to stop after its running batches. Expires."""
    return f"copydesk:stop:{worker}"


def minute(since_1970: int) -> str:
    """Hash: the counters of one minute. Expires."""
    return f"{MINUTES}{since_1970}"


def hour(since_1970: int) -> str:
    """Hash: how long batches and documents of one hour took. Expires."""
    return f"{HOURS}{since_1970}"


def summary(since_1970: int) -> str:
    """String: set when the summary of this minute has been logged. Expires."""
    return f"copydesk:summary:{since_1970}"


def reply_streams(source: str) -> str:
    """Sorted set: the receipt streams of a source, scored by their last use. Expires."""
    return f"copydesk:replies:{source}"


def replies(producer: str, client: str) -> str:
    """Stream: the receipts of one client of a producer. Expires."""
    return f"replies:{producer}:{client}"


def token(producer: str, idempotency_key: str) -> str:
    """String: the ids that a submission with this idempotency token received. Expires."""
    return f"{TOKENS}{producer}:{idempotency_key}"


SHARED_TYPES = {
    PAUSED_LANES: "hash",
    RESUMED_LANES: "hash",
    WORKERS: "zset",
    OUTCOME_FEED: "stream",
    MAINTAINED: "string",
    ROLLED_UP: "string",
    TOKEN_CURSOR: "string",
    NEWEST: "string",
}
"""Key → type (as the command TYPE names it) of what all lanes share and only Copydesk writes.

Left out is what is set anew every few seconds, whatever it holds: `SLOW_DOWN`, `STORE_TROUBLE` and `slow_down`.
"""


def types_of_lane(lane: str) -> dict[str, str]:
    """Return key → type of what only Copydesk writes about a lane. (The lane itself is a stream.)"""
    return {
        outcomes(lane): "hash",
        oversized(lane): "hash",
        crash_reports(lane): "hash",
        store_timeouts(lane): "hash",
        paused_sources(lane): "hash",
        resumed_sources(lane): "hash",
        original_ids(lane): "hash",
        order_ids(lane): "hash",
        clock(lane): "string",
        aside(lane): "stream",
    }
