"""The output of `status --json`: programs read it, so its names do not change with the classes."""

from __future__ import annotations

import json

from tests.support.snapshots import lane, queue, redis_info, silent, store
from worker.monitoring.alarms import About, alarms
from worker.monitoring.snapshot import with_rates
from worker.monitoring.source_pauses import SourcePauseStatus
from worker.monitoring.status import LinkingStatus, PauseStatus, Snapshot, Unreachable, WorkStatus

LANE = {
    "lane": str, "added": int, "settled": int, "backlog": int, "pending": int, "oldest_seconds": float,
    "outcomes": {"stored": int}, "missing": int, "aside": int, "fault": None, "rate": float, "in_rate": float,
    "lately_settled": int, "drain_seconds": float, "paused": None, "paused_sources": [], "wrong_keys": [],
}  # fmt: skip
PERIOD = {
    "seconds": int, "added": int, "settled": int, "rate": float,
    "outcomes": dict.fromkeys(("stored", "updated", "unchanged", "superseded", "retracted", "rejected"), int),
    "sources": {"crawler": {"stored": int}},
    "rejected": [{"code": str, "source": str, "documents": int}],
}  # fmt: skip
FORM = {
    "lanes": [
        {
            **LANE, "paused": {"who": str, "why": str, "by": str, "seconds": float},
            "paused_sources": [{"source": str, "documents": int, "who": str, "why": str, "by": str, "seconds": float}],
        }
    ],
    "internal": LANE,
    "sum": {"added": int, "settled": int, "backlog": int, "missing": int},
    "outcomes": {"stored": int},
    "workers": [
        {
            "worker": str, "state": str, "for_seconds": float, "reason": str, "version": str, "up_seconds": float,
            "lanes": [str], "silent_seconds": float,
            "pool": [
                {"pid": int, "lane": str, "documents": int, "busy_seconds": float},
                {"pid": int, "lane": None, "documents": int, "busy_seconds": None},
            ],
        }
    ],
    "missed": [{"worker": str, "silent_seconds": float}],
    "recent": {"minute": PERIOD, "hour": PERIOD, "day": PERIOD},
    "redis": {
        "ok": bool, "ms": float, "server": str, "used_bytes": int, "max_bytes": None, "policy": str,
        "append_only": bool, "last_write": str, "up_seconds": int,
    },
    "dead_letters": {"no_title": int},
    "store": {"articles": int},
    "behind": int,
    "enriching": [{"kind": str, "subject": None, "done": int, "total": int}],
    "database": {"ok": bool, "ms": float, "server": str, "schema": str, "needs_schema": str, "used_bytes": int},
    "linking": {"is_enabled": bool, "pending": int, "oldest_seconds": float, "provisional": int, "outdated": int},
    "source_alarms": [],
    "last_receipt_at": float,
}  # fmt: skip


def form(value):
    """Return the names, in their order, with the types of the values."""
    if isinstance(value, dict):
        return {name: form(one) for name, one in value.items()}
    if isinstance(value, list):
        return [form(one) for one in value]
    return None if value is None else type(value)


def as_json(snapshot):
    return json.loads(json.dumps(snapshot.to_json()))


def test_names_order_and_types_of_the_json_are_fixed():
    sources = (SourcePauseStatus("mad", 7, "me", "nonsense", "operator", 1.0),)
    paused = lane(paused=PauseStatus("me", "upgrade", "operator", 1.0), paused_sources=sources)
    snapshot = Snapshot(
        queue(lanes=(paused,), missed=(silent(),)),
        redis_info(),
        store(
            enriching=(WorkStatus("provider", None, 0, 5),), linking=LinkingStatus(True, 3, 1.5, 2), last_receipt_at=1.5
        ),
    )
    written = json.dumps(form(as_json(snapshot)), default=str)
    assert written == json.dumps(FORM, default=str)


def test_unreachable_servers_leave_only_their_error():
    without_redis = Snapshot(redis=Unreachable(error="refused"), store=store(database=Unreachable(error="gone")))
    written = as_json(without_redis)
    assert written["redis"] == {"ok": False, "error": "refused"}
    assert written["database"] == {"ok": False, "error": "gone"}
    assert list(written) == ["redis", "dead_letters", "store", "behind", "enriching", "database", "source_alarms"]


def test_a_lane_that_waits_keeps_the_queue_from_being_drained_unless_it_is_paused():
    idle = lane("copydesk:internal", pending=0, backlog=0)
    empty, waiting = lane(pending=0, backlog=0), lane(pending=0, backlog=1)
    paused = lane(pending=0, backlog=1, paused=PauseStatus("me", "upgrade", "operator", 1.0))
    assert queue(lanes=(empty, paused), internal=idle).is_drained
    assert not queue(lanes=(empty, waiting), internal=idle).is_drained
    assert not queue(lanes=(empty,), internal=lane("copydesk:internal", pending=1)).is_drained
    assert not queue(lanes=(lane(pending=1, backlog=1, paused=paused.paused),), internal=idle).is_drained


def paused_source(documents, name="mad"):
    return SourcePauseStatus(name, documents, "me", "nonsense", "operator", 1.0)


def test_documents_of_paused_sources_do_not_keep_a_lane_from_being_drained():
    idle = lane("copydesk:internal", pending=0, backlog=0)
    of_paused = {"pending": 0, "paused_sources": (paused_source(5), paused_source(2, "other"))}
    assert queue(lanes=(lane(backlog=7, **of_paused),), internal=idle).is_drained
    assert not queue(lanes=(lane(backlog=8, **of_paused),), internal=idle).is_drained
    before, now = (
        queue(lanes=(lane(added=100, settled=50),)),
        queue(lanes=(lane(added=100, settled=60, backlog=17, **of_paused),)),
    )
    assert with_rates(now, before, seconds=1.0).lanes[0].drain_seconds == 1.0


def test_a_paused_source_is_an_alarm_of_the_source_with_the_command_that_resumes_it():
    sources = tuple(paused_source(9, f"crawler {number}") for number in range(12))
    found = [one for one in alarms(Snapshot(queue(lanes=(lane(paused_sources=sources),)))) if one.about is About.SOURCE]
    assert (len(found), found[0].name, found[-1].name) == (11, "crawler 0", "")
    assert found[0].sentence == (
        "Source crawler 0 of lane documents is paused by me (nonsense), 9 of its documents wait: "
        "copydesk lane resume documents --source 'crawler 0'"
    )
    assert found[-1].sentence == "2 more sources of lane documents are paused: copydesk lane list"


def test_rates_are_those_since_the_earlier_snapshot():
    before = queue(lanes=(lane(added=100, settled=50), lane("gone")))
    now = queue(lanes=(lane(added=120, settled=60, backlog=40), lane("new", rate=3.0)))
    known, new = with_rates(now, before, seconds=2.0).lanes
    assert (known.in_rate, known.rate, known.drain_seconds) == (10.0, 5.0, None)
    assert new.rate == 3.0
    assert with_rates(now, before, seconds=0.0) == now


def test_a_lane_with_few_outcomes_does_not_stand_still_between_two_snapshots():
    slow = queue(lanes=(lane(oldest_seconds=75.0, lately_settled=3),))
    assert with_rates(slow, slow, seconds=2.0).lanes[0].rate == 0.0
    assert not [
        one for one in alarms(Snapshot(with_rates(slow, slow, seconds=2.0), redis_info())) if one.about is About.LANE
    ]
