from __future__ import annotations

import pytest

from schemas.envelope import Op, parse_envelope


def codes(fields):
    return [found.code for found in parse_envelope(fields)[1]]


def test_an_entry_with_all_fields_is_parsed():
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    envelope, problems = parse_envelope({
        b"raw": b"\xff", b"source": "Küste".encode(), b"key": b"a/b.md", b"op": b"put", b"reply_to": b"replies:me",
        b"traceparent": trace,
    })  # fmt: skip
    assert problems == ()
    assert (envelope.raw, envelope.source, envelope.key, envelope.op) == (b"\xff", "Küste", "a/b.md", Op.PUT)
    assert (envelope.reply_to, envelope.trace_id) == ("replies:me", "0af7651916cd43dd8448eb211c80319c")


def test_an_entry_with_only_raw_is_valid():
    envelope, problems = parse_envelope({b"raw": b""})
    assert (envelope.op, envelope.key, problems) == (Op.PUT, None, ())


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "no_raw"),
        ({b"key": b"x"}, "no_raw"),
        ({b"raw": b"x", b"op": b"delete"}, "unknown_op"),
        ({b"raw": b"x", b"op": b"\xff"}, "unknown_op"),
        ({b"raw": b"x", b"source": b"s" * 201}, "bad_source"),
        ({b"raw": b"x", b"source": b"\xff"}, "bad_source"),
        ({b"raw": b"x", b"key": b"k" * 1025}, "bad_key"),
        ({b"raw": b"x", b"key": b"k\0"}, "bad_key"),
        ({b"raw": b"x", b"reply_to": b"documents"}, "bad_reply_to"),
        ({b"raw": b"x", b"reply_to": b"replies:"}, "bad_reply_to"),
        ({b"op": b"retract"}, "retract_what"),
        ({b"op": b"retract", b"raw": b"not a URL"}, "retract_what"),
        ({b"raw": b"x", b"traceparent": b"00-00000000000000000000000000000000-b7ad6b7169203331-01"}, "bad_traceparent"),
        ({b"raw": b"x", b"colour": b"red"}, "unknown_entry_field"),
    ],
)
def test_each_mistake_has_its_code(fields, code):
    assert codes(fields) == [code]


@pytest.mark.parametrize("count", [10, 11, 12, 1000])
def test_unknown_fields_that_are_not_listed_are_counted(count):
    _, problems = parse_envelope({b"raw": b"x", **{b"field %d" % n: b"" for n in range(count)}})
    listed = [found for found in problems if found.code == "unknown_entry_field"]
    rest = problems[len(listed) :]
    assert len(listed) == 10
    assert [(found.code, found.severity) for found in rest] == [("too_many_problems", "warning")] * (count > 10)
    assert all(found.message.startswith(f"{count - 10:,} more") for found in rest)


def test_a_retraction_names_a_key_or_a_url():
    assert parse_envelope({b"op": b"retract", b"key": b"a.md"})[0].key == "a.md"
    assert parse_envelope({b"op": b"retract", b"raw": b"https://a.example/x\n"})[0].key == "https://a.example/x"


def test_a_rejected_entry_keeps_its_reply_stream():
    envelope, _ = parse_envelope({b"reply_to": b"replies:me"})
    assert envelope.reply_to == "replies:me"
