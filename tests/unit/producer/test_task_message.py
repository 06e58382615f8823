"""How a message of Celery's queue is classified, and the document that is extracted from a kept message."""

import base64
import json
import pickle
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.producer.task_message import BrokenClaimCheck, ClaimCheck, DocumentTask, Misfit, document_in, read_message

DOCUMENT = "---\ntitle: T\nwebUrl: https://a.example/1\n---\nText\n"


def message(args=(), kwargs=None, embed=None, body=None, headers=None, properties=None, **parts):
    """Return a message as Celery sends it, with some of its parts changed."""
    content = json.dumps([list(args), kwargs or {}, embed or {}]).encode() if body is None else body
    return json.dumps({
        "body": base64.b64encode(content).decode(), "content-type": "application/json", "content-encoding": "utf-8",
        "headers": {"task": "copydesk.submit", "id": "i", "lang": "py", **(headers or {})},
        "properties": {"delivery_tag": "t", "body_encoding": "base64", "delivery_info": {}, **(properties or {})}, **parts,
    }).encode()  # fmt: skip


def hours(number):
    return (datetime.now(UTC) + timedelta(hours=number)).isoformat()


@pytest.mark.parametrize(("args", "kwargs"), [
    ([DOCUMENT], {"source": "s", "key": "k"}), ([DOCUMENT, "s", "k"], {}), ([], {"raw": DOCUMENT, "source": "s", "key": "k"}),
    ([], {"raw_base64": base64.b64encode(DOCUMENT.encode()).decode(), "source": "s", "key": "k", "reply_to": None}),
])  # fmt: skip
def test_a_document_is_read_from_any_form_of_arguments(args, kwargs):
    task = read_message(message(args, kwargs))
    assert isinstance(task, DocumentTask)
    assert (task.submission.raw, task.submission.source, task.submission.key) == (DOCUMENT.encode(), "s", "k")


@pytest.mark.parametrize(("code", "field", "item"), [
    ("not_a_task", None, DOCUMENT.encode()), ("not_a_task", None, b""), ("not_a_task", None, b"\xff\x00"),
    ("not_a_task", None, b"[" * 100_000), ("not_a_task", None, b"9" * 100_000), ("not_a_task", None, b"[1]"),
    ("not_a_task", None, message([DOCUMENT])[:-9]), ("not_a_task", "headers", b"{}"),
    ("not_a_task", "headers.task", message([DOCUMENT], headers={"task": None})),
    ("not_a_task", "headers.id", message([DOCUMENT], headers={"id": 5})),
    ("not_a_task", "properties", message([DOCUMENT], **{"properties": None}) .replace(b'"properties": {"delivery_tag"', b'"x": {"y"')),
    ("not_a_task", "properties.delivery_tag", message([DOCUMENT], properties={"delivery_tag": None})),
    ("not_a_task", "properties.body_encoding", message([DOCUMENT], properties={"body_encoding": "zip"})),
    ("not_a_task", "body", message(body=b"not JSON")), ("not_a_task", "body", message(body=b'{"raw": "x"}')),
    ("not_a_task", "content-type", json.dumps({**json.loads(message([DOCUMENT])), "content-type": "application/x-yaml"}).encode()),
    ("not_a_task", "content-encoding", json.dumps({**json.loads(message([DOCUMENT])), "content-encoding": "x"}).encode()),
    ("not_a_task", "headers.compression", message(body=zlib.compress(b"x"), headers={"compression": "application/x-gzip"})),
    ("unknown_task", "headers.task", message([DOCUMENT], headers={"task": "my.submit"})),
    ("unknown_task", "headers.task", message([DOCUMENT], headers={"task": "celery.starmap"})),
    ("bad_task_arguments", "raww", message([], {"raww": DOCUMENT})), ("bad_task_arguments", "sorce", message([DOCUMENT], {"sorce": "s"})),
    ("bad_task_arguments", "raw", message()), ("bad_task_arguments", "raw", message([5])),
    ("bad_task_arguments", "raw", message([{"__type__": "bytes", "__value__": DOCUMENT}])),
    ("bad_task_arguments", "raw", message([DOCUMENT], {"raw": DOCUMENT})), ("bad_task_arguments", None, message(["x"] * 9)),
    ("bad_task_arguments", None, message([DOCUMENT], {"no name\n": 1})),
    ("bad_task_arguments", "reply_to", message([DOCUMENT], {"reply_to": ["replies:x"]})),
    ("bad_task_arguments", "source", message([DOCUMENT], {"source": "s\ud800"})),
    ("bad_task_arguments", "raw_base64", message([], {"raw_base64": "!"})),
    ("task_option", "expires", message([DOCUMENT], headers={"expires": hours(-1)})),
    ("task_option", "expires", message([DOCUMENT], headers={"expires": {}})),
    ("task_option", "eta", message([DOCUMENT], headers={"eta": hours(1)})),
    ("task_option", "chain", message([DOCUMENT], embed={"chain": [{"task": "copydesk.submit"}]})),
])  # fmt: skip
def test_any_other_message_is_kept_with_its_problem(code, field, item):
    misfit = read_message(item)
    assert isinstance(misfit, Misfit)
    assert (misfit.problem.code, misfit.problem.field) == (code, field)


def test_readable_fields_of_the_producer_are_kept_too():
    misfit = read_message(message([], {"raww": DOCUMENT, "source": "s", "key": "k", "reply_to": "replies:x"}))
    assert misfit.fields == {"source": "s", "key": "k", "reply_to": "replies:x"}


def test_options_without_effect_are_accepted():
    assert isinstance(read_message(message([DOCUMENT], headers={"expires": hours(1), "eta": hours(-1)})), DocumentTask)


def test_a_claim_check_reaches_celery_without_unneeded_fields():
    given_ = message(["documents", ["1-1"]], embed={"chain": ["x"]},
                     headers={"task": "copydesk.ingest", "eta": hours(1), "argsrepr": "secret", "timelimit": "x"})  # fmt: skip
    check = read_message(given_)
    assert isinstance(check, ClaimCheck)
    assert "secret" not in json.dumps(check.message)
    assert json.loads(base64.b64decode(check.message["body"])) == [["documents", ["1-1"]], {}, {}]
    assert check.message["headers"].get("eta") is None


@pytest.mark.parametrize("item", [
    message(["documents", ["x"]], headers={"task": "copydesk.ingest"}), message([5, ["1-1"]], headers={"task": "copydesk.ingest"}),
    message([], {"secret": 1}, headers={"task": "copydesk.complete"}), message([], headers={"task": "copydesk.of_another_version"}),
    message(["documents", ["1-1"]], headers={"task": "copydesk.ingest", "id": "x\n"}), message(body=b"5", headers={"task": "copydesk.ingest"}),
    message(["documents", ["١-١"]], headers={"task": "copydesk.ingest"}), message(["documents", ["1-1", "1-²"]], headers={"task": "copydesk.ingest"}),
    message(["documents", [f"{1 << 64}-1"]], headers={"task": "copydesk.ingest"}),
])  # fmt: skip
def test_a_broken_claim_check_is_not_kept_as_a_document(item):
    assert isinstance(read_message(item), BrokenClaimCheck)


@pytest.mark.parametrize("item", [
    message([DOCUMENT], headers={"task": "copydesk.sumbit"}), message([], {"raw": DOCUMENT}, headers={"task": "copydesk.submit "}),
    message([DOCUMENT], headers={"task": "copydesk.maintain"}), message(["documents", [DOCUMENT]], headers={"task": "copydesk.ingest"}),
    message([DOCUMENT], headers={"task": "copydesk.complete"}), message(body=DOCUMENT.encode(), headers={"task": "copydesk.ingest"}),
    message(body=pickle.dumps(([DOCUMENT], {}, {})), headers={"task": "copydesk.submit_now"}),
])  # fmt: skip
def test_a_document_under_the_name_of_a_claim_check_is_kept(item):
    misfit = read_message(item)
    assert isinstance(misfit, Misfit)
    assert misfit.problem.code == "unknown_task"


def test_maintenance_accepts_only_a_valid_place_to_resume():
    place = '["raw documents", "2026-01-02T03:04:05.678901+00:00", "00ff"]'
    assert isinstance(read_message(message([place], headers={"task": "copydesk.maintain"})), ClaimCheck)
    for other in (
        "hunter2",
        '["topics"]',
        '["topics", 5',
        '["topics", "a b"]',
        '["topics", ["x"]]',
        f'["topics", "{"x" * 90}"]',
    ):
        broken = read_message(message([other], headers={"task": "copydesk.maintain"}))
        assert isinstance(broken, BrokenClaimCheck), other


@pytest.mark.parametrize("item", [
    message([], {"raww": DOCUMENT}), message([DOCUMENT], {"sorce": "s"}), message([5], {"raw": DOCUMENT}), DOCUMENT.encode(),
    message([{"__type__": "bytes", "__value__": DOCUMENT}]), message(["k", DOCUMENT], headers={"task": "my.submit"}),
    message([{"__type__": "base64", "__value__": base64.b64encode(DOCUMENT.encode()).decode()}]),
    message(body=json.dumps({"task": "copydesk.submit", "args": [DOCUMENT], "kwargs": {}}).encode()),
    message([], {"raw_base64": base64.b64encode(DOCUMENT.encode()).decode(), "sorce": "s"}),
])  # fmt: skip
def test_the_document_in_a_celery_message_is_found(item):
    assert document_in(item) == DOCUMENT.encode()


def test_without_a_recognisable_document_the_body_is_shown():
    assert document_in(message([], {"title": "T"})) == b'[[], {"title": "T"}, {}]'
    assert DOCUMENT.encode() in document_in(message(body=pickle.dumps(([DOCUMENT], {}))))


@given(st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(
        st.sampled_from(["headers", "properties", "body", "task", "id", "delivery_tag", "args", "kwargs", "raw", "__type__", "__value__"]),
        part, max_size=4),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_message_is_classified(item):
    assert read_message(item) is not None
    assert isinstance(document_in(item), bytes)
