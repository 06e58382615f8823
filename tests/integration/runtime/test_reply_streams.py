"""Reply streams are bounded for each source; those that were used last stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from schemas.receipt import Outcome
from worker.activity import reply_streams
from worker.documents.limits import Limits
from worker.pipeline import Batch
from worker.runtime import batch_report
from worker.store.decide.batch_item import BatchItem

BATCH = Batch(lane="documents", source=None, worker="w", max_attempts=3, limits=Limits())


def _version(number, source, reply_to):
    return BatchItem(
        "documents", f"{number}-0", "", source, datetime.now(UTC), reply_to=reply_to, outcome=Outcome.STORED
    )


def test_reply_streams_of_a_source_are_bounded_without_deleting_those_of_others(redis_client, monkeypatch):
    monkeypatch.setattr(reply_streams, "_STREAMS_A_SOURCE", 50)
    batch_report.announce(redis_client, BATCH, [_version(1, "quiet", "replies:quiet:1")])
    for start in range(0, 300, 25):
        batch = [_version(n, "noisy", f"replies:noisy:{n}") for n in range(start, start + 25)]
        batch_report.announce(redis_client, BATCH, [*batch, _version(1000 + start, "noisy", "replies:noisy:one")])
    left = {name.decode() for name in redis_client.scan_iter("replies:*")}
    assert len(left) == 51
    assert "replies:quiet:1" in left, "another source's stays"
    assert "replies:noisy:one" in left, "one that is still used stays"
    assert "replies:noisy:0" not in left
    kept = [json.loads(fields[b"receipt"])["id"] for _, fields in redis_client.xrange("replies:noisy:one")]
    assert kept == [f"{1000 + start}-0" for start in range(0, 300, 25)]
    assert 0 < redis_client.ttl("copydesk:replies:noisy") <= 3600


def test_a_source_that_names_the_stream_of_another_one_does_not_remove_it(redis_client, monkeypatch):
    monkeypatch.setattr(reply_streams, "_STREAMS_A_SOURCE", 50)

    def announce(source, *numbers):
        for start in range(0, len(numbers), 20):
            batch = [_version(n, source, f"replies:{source}:{n}") for n in numbers[start : start + 20]]
            batch_report.announce(redis_client, BATCH, batch)

    def exists(stream):
        return redis_client.exists(stream) == 1

    announce("quiet", 1)
    batch_report.announce(redis_client, BATCH, [_version(2, "noisy", "replies:quiet:1")])
    announce("noisy", *range(1, 102))
    assert exists("replies:quiet:1"), "the quiet source still keeps it"
    assert not exists("replies:noisy:1")
    announce("quiet", *range(2, 102))
    assert not exists("replies:quiet:1"), "neither keeps it now"
    assert len([*redis_client.scan_iter("replies:*")]) == 100
    assert len([*redis_client.scan_iter("copydesk:reply-sources:*")]) == 100
    assert 0 < redis_client.ttl("copydesk:reply-sources:replies:quiet:101") <= 3600
