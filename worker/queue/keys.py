"""The names of all keys in Redis but the lanes themselves, whose keys are their names.

No other module writes such a name out. Names are part of what operators see (ACL files, redis-cli) and stay as they are.
"""

from __future__ import annotations

CHANGE_FEED = "articles"
"""Stream: which articles and stories changed, for programs that build on the store."""
OUTCOME_FEED = "copydesk:tail"
"""Stream: the outcomes that `copydesk tail` follows."""
PAUSED_LANES = "copydesk:lanes:paused"
"""Hash: lane → who paused it, when and why, as JSON."""
RESUMED_LANES = "copydesk:lanes:resumed"
"""Hash: lane → when it was resumed last, in seconds since 1970."""
WORKERS = "copydesk:workers"
"""Sorted set: the names of workers by the time of their last heartbeat."""
SLOW_DOWN = "copydesk:slow-down"
"""String: how many seconds producers should wait, the largest of all lanes. Expires."""
STORE_TROUBLE = "copydesk:store-trouble"
"""String: a worker cannot take documents now. Expires."""
MAINTAINED = "copydesk:maintained"
"""String: the worker that did the last maintenance. Expires when the next is due."""
TOKEN_CURSOR = "copydesk:tokens:cursor"  # noqa: S105  a place in SCAN, no password
"""String: where the removal of tokens without an expiry continues."""
MINUTES = "copydesk:tally:"
"""What the names of the hashes of counters begin with; the minute since 1970 follows, by the server's clock."""
TOKENS = "once:"
"""What the names of idempotency tokens begin with. Crawlers may write them."""
PROBE_GROUP = "copydesk:probe"
"""A consumer group that exists only inside a script, which asks a lane for its last id."""


def outcomes(lane: str) -> str:
    """Hash: outcome → how many entries of the lane had it."""
    return f"copydesk:outcomes:{lane}"


def oversized(lane: str) -> str:
    """Hash: the id of an entry beyond the size limit → its bytes."""
    return f"copydesk:giants:{lane}"


def deaths(lane: str) -> str:
    """Hash: the id of an entry that was read while processes died → the evidence."""
    return f"copydesk:deaths:{lane}"


def aside(lane: str) -> str:
    """Stream: entries that an interrupted repair has yet to add again."""
    return f"copydesk:aside:{lane}"


def clock(lane: str) -> str:
    """String: the server's time when leases were last checked."""
    return f"copydesk:clock:{lane}"


def readded(lane: str) -> str:
    """Hash: the id of an entry that was added again → the id that its producer was given. Expires."""
    return f"copydesk:readded:{lane}"


def slow_down(lane: str) -> str:
    """String: how many seconds producers of the lane should wait. Expires."""
    return f"{SLOW_DOWN}:{lane}"


def worker(name: str) -> str:
    """Hash: what a worker's last heartbeat said. Expires."""
    return f"copydesk:worker:{name}"


def minute(since_1970: int) -> str:
    """Hash: the counters of a minute. Expires."""
    return f"{MINUTES}{since_1970}"


def summary(since_1970: int) -> str:
    """String: the summary of this minute is written. Expires."""
    return f"copydesk:summary:{since_1970}"


def reply_streams(source: str) -> str:
    """Sorted set: the streams of receipts of a source by their last use. Expires."""
    return f"copydesk:replies:{source}"


def replies(producer: str, client: str) -> str:
    """Stream: the receipts of one client of a producer. Expires."""
    return f"replies:{producer}:{client}"


def token(producer: str, once: str) -> str:
    """String: the ids that a submission with this idempotency token was given. Expires."""
    return f"{TOKENS}{producer}:{once}"
