"""The Python client: each document arrives once and unchanged, and its receipt reaches the caller that waits for it."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import socket
import threading
import time

import pytest
import redis

from schemas.receipt import Outcome
from tests.support.proxy import Proxy
from worker.producer.client import AsyncProducer, Producer, Submission, SubmissionUnsure, submit_entry, submit_many
from worker.producer.tokens import remove_lasting_tokens
from worker.queue.server_functions import load_functions


@pytest.fixture
def crawler(valkey, redis_client):
    with Producer(valkey.url, source="courier") as producer:
        yield producer


def entries(client):
    return [fields for _, fields in client.xrange("documents")]


def answer(client, stream, id_, outcome="stored", **more):
    client.xadd(stream, {"receipt": json.dumps({"id": id_, "lane": "documents", "outcome": outcome, **more})})


def test_only_what_is_set_is_sent(redis_client):
    id_ = submit_entry(redis_client, "documents", b"---\n\xff\x00", source="s", key="k")
    assert redis_client.xrange("documents") == [
        (id_.encode(), {b"raw": b"---\n\xff\x00", b"source": b"s", b"key": b"k"})
    ]


def test_a_retraction_needs_no_text(redis_client):
    submit_entry(redis_client, "documents", b"", source="s", key="k", op="retract", reply_to="replies:s")
    ((_, fields),) = redis_client.xrange("documents")
    assert fields == {b"raw": b"", b"source": b"s", b"key": b"k", b"op": b"retract", b"reply_to": b"replies:s"}


def test_documents_keep_their_order_and_get_their_ids(redis_client):
    submissions = [Submission(str(n).encode(), label=f"file {n}") for n in range(25)]
    pushed = list(submit_many(redis_client, "documents", submissions, chunk=10))
    assert [submission for submission, _ in pushed] == submissions
    stored = [(id_.decode(), fields[b"raw"]) for id_, fields in redis_client.xrange("documents")]
    assert stored == [(id_, submission.raw) for submission, id_ in pushed]


def test_the_producer_sends_the_contracts_fields(crawler, redis_client):
    ids = [crawler.submit("Küste", key="a.md"), crawler.submit(b"\xff", source="other"), crawler.retract("a.md")]
    me, replies = b"courier", crawler.replies.encode()
    assert [(id_.decode(), fields) for id_, fields in redis_client.xrange("documents")] == list(
        zip(
            ids,
            [
                {b"raw": "Küste".encode(), b"source": me, b"key": b"a.md", b"reply_to": replies},
                {b"raw": b"\xff", b"source": b"other", b"reply_to": replies},
                {b"source": me, b"key": b"a.md", b"op": b"retract", b"reply_to": replies},
            ],
            strict=True,
        )
    )


def test_many_documents_are_sent_in_several_commands_with_progress(crawler, redis_client):
    sent_counts = []
    pushed = list(crawler.submit_many((str(n) for n in range(450)), progress=sent_counts.append))
    assert sent_counts == [200, 400, 450]
    assert [fields[b"raw"].decode() for fields in entries(redis_client)] == [str(n) for n in range(450)]
    assert [id_ for _, id_ in pushed] == [id_.decode() for id_, _ in redis_client.xrange("documents")]


def test_a_text_with_a_lone_surrogate_does_not_stop_the_others(crawler, redis_client):
    list(crawler.submit_many(["one", "\ud800", Submission(b"three", key="\ud800")]))
    crawler.submit("\ud800")
    sent = [(fields[b"raw"], fields.get(b"key")) for fields in entries(redis_client)]
    broken = b"\xed\xa0\x80"  # what no UTF-8 decoder takes, so the worker rejects it
    assert sent == [(b"one", None), (broken, None), (b"three", broken), (broken, None)]


def test_large_documents_are_sent_in_small_commands(crawler, redis_client):
    sent_counts = []
    list(crawler.submit_many([b"x" * (3 << 20)] * 3, progress=sent_counts.append))
    assert sent_counts == [1, 2, 3]


def test_the_same_token_adds_nothing_again(crawler, redis_client):
    assert (
        crawler.submit("a", idempotency_key="t")
        == crawler.submit("a", idempotency_key="t")
        == crawler.submit("b", idempotency_key="t")
    )
    assert [fields[b"raw"] for fields in entries(redis_client)] == [b"a"]


@pytest.mark.parametrize("timeout", [30, 300])
def test_a_token_outlives_all_tries_of_its_submission_by_ten_minutes(valkey, redis_client, timeout):
    with Producer(valkey.url, source="courier", timeout=timeout) as producer:
        producer.submit("a", idempotency_key="t")
    assert timeout + 590 < redis_client.ttl("once:courier:t") <= timeout + 600
    assert remove_lasting_tokens(redis_client) == 0


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_lost_answers_double_nothing(valkey, redis_client, seed):
    """The reply of every other command is lost, or the command itself."""
    dice = random.Random(seed)
    with Proxy(valkey.socket, lambda: dice.choice(["pass", "pass", "drop_request", "drop_reply"])) as proxy:
        with Producer(proxy.url, source="courier", polite=False) as crawler:
            ids = [crawler.submit(str(n)) for n in range(15)]
            ids += [id_ for _, id_ in crawler.submit_many(str(n) for n in range(15, 1000))]
        assert proxy.broken > 5
    found = redis_client.xrange("documents")
    assert [fields[b"raw"].decode() for _, fields in found] == [str(n) for n in range(1000)]
    assert [id_.decode() for id_, _ in found] == ids


def test_a_command_that_arrives_after_its_repetition_adds_nothing(crawler, redis_client):
    arguments = crawler._config.call("late", [Submission(b"a")], 30)
    assert crawler.submit("a", idempotency_key="late") == redis_client.fcall("copydesk_submit", 1, *arguments).decode()
    assert redis_client.xlen("documents") == 1


def test_a_timeout_raises_an_error_with_the_token_for_a_retry(valkey, redis_client):
    with (
        Proxy(valkey.socket, lambda: "drop_reply") as proxy,
        Producer(proxy.url, timeout=0.3, polite=False) as crawler,
        pytest.raises(SubmissionUnsure) as raised,
    ):
        crawler.submit("a")
    with Producer(valkey.url) as crawler:
        id_ = crawler.submit("a", idempotency_key=raised.value.idempotency_key)
    assert [id_.encode()] == [id_ for id_, _ in redis_client.xrange("documents")]


def test_unanswered_documents_are_sent_again(valkey, redis_client):
    with (
        Proxy(valkey.socket, lambda: "drop_reply") as proxy,
        Producer(proxy.url, timeout=0.3, polite=False) as crawler,
        pytest.raises(SubmissionUnsure) as raised,
    ):
        list(crawler.submit_many(["a", "b"]))
    with Producer(valkey.url) as crawler:
        ids = crawler.retry(raised.value)

    async def again():
        async with AsyncProducer(valkey.url) as crawler:
            return await crawler.retry(raised.value)

    assert [id_.decode() for id_, _ in redis_client.xrange("documents")] == ids == asyncio.run(again())


def test_a_crawler_waits_for_a_worker_to_load_the_function_that_a_server_has_lost(valkey, redis_client):
    redis_client.acl_setuser("courier", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-function"])
    url = valkey.url.replace("unix://", "unix://courier:x@")

    async def submit():
        async with AsyncProducer(url) as crawler:
            return await crawler.submit("b")

    for send in (lambda: Producer(url).submit("a"), lambda: asyncio.run(submit())):
        redis_client.function_flush()
        worker = threading.Timer(0.4, load_functions, [redis_client])
        worker.start()
        send()
        worker.join()
    redis_client.acl_deluser("courier")
    assert [fields[b"raw"] for fields in entries(redis_client)] == [b"a", b"b"]


def test_both_clients_have_the_same_methods():
    def offered(client):
        public = {name: value for name, value in vars(client).items() if not name.startswith("_")}
        return {name: str(inspect.signature(f).parameters) for name, f in public.items() if inspect.isfunction(f)}

    assert offered(Producer) == offered(AsyncProducer)
    assert str(inspect.signature(Producer)) == str(inspect.signature(AsyncProducer))


def test_a_refusal_is_raised_at_once(valkey, redis_client):
    redis_client.set("documents", "no stream")
    started = time.monotonic()
    with Producer(valkey.url) as crawler, pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        crawler.submit("a")
    with (
        Producer(valkey.url.replace("unix://", "unix://nobody:wrong@")) as crawler,
        pytest.raises(redis.AuthenticationError),
    ):
        crawler.submit("a")
    assert time.monotonic() - started < 20


def test_a_receipt_reaches_the_caller_that_waits(crawler, redis_client):
    id_ = crawler.submit("a")
    assert crawler.wait(id_, timeout=0.05).outcome == "pending"
    answer(redis_client, crawler.replies, "1-1")
    redis_client.xadd(crawler.replies, {"receipt": "garbage"})
    redis_client.xadd(crawler.replies, {"colour": "red"})
    answer(redis_client, crawler.replies, id_, url="https://a.example/x")
    receipt = crawler.wait(id_)
    assert (receipt.outcome, receipt.url) == (Outcome.STORED, "https://a.example/x")
    assert crawler.wait(id_, timeout=0) == receipt, "whoever asks again is told again"
    assert crawler.wait("9-9", timeout=0.05).outcome == "pending"


def test_many_threads_wait_on_one_producer_at_once(crawler, redis_client):
    ids = [crawler.submit(str(n)) for n in range(40)]
    found = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: crawler.wait(i, timeout=120)})) for i in ids]
    for thread in threads:
        thread.start()
    for id_ in reversed(ids):
        answer(redis_client, crawler.replies, id_)
    for thread in threads:
        thread.join()
    assert {id_: receipt.id for id_, receipt in found.items()} == {id_: id_ for id_ in ids}
    assert {receipt.outcome for receipt in found.values()} == {Outcome.STORED}


def test_more_receipts_than_the_stream_holds_are_collected_while_sending(crawler, redis_client):
    found, ids = {}, [f"{n}-1" for n in range(1, 15_001)]
    for start in range(0, len(ids), 5000):
        with redis_client.pipeline(transaction=False) as pipe:
            for id_ in ids[start : start + 5000]:
                body = json.dumps({"id": id_, "lane": "documents", "outcome": "stored"})
                pipe.xadd(crawler.replies, {"receipt": body}, maxlen=10_000, approximate=True)
            pipe.execute()
        while came := crawler.collect(set(ids) - found.keys()):
            found.update(came)
    assert len(found) == 15_000


@pytest.mark.parametrize(("value", "least"), [("1", 1), ("0", 0), (None, 0), ("soon", 0), ("nan", 0)])
def test_the_client_waits_under_backpressure(crawler, redis_client, value, least):
    if value is not None:
        redis_client.set("copydesk:slow-down:documents", value)
    redis_client.set("copydesk:slow-down", "30")
    if value in (None, "soon", "nan"):
        redis_client.set("copydesk:slow-down", "0")
    started = time.monotonic()
    crawler.submit("a")
    assert least <= time.monotonic() - started < 20  # not the 30 s of the other key, also on a busy machine


def test_the_client_checks_documents_offline():
    codes = [problem.code for problem in Producer.check("---\ntitle: a\n---\n")]
    assert codes == ["no_identity"]
    assert Producer.check("---\ntitle: a\n---\n", key="a.md") == ()
    assert [problem.code for problem in Producer.check("\ud800")] == ["not_utf8"]


def test_the_asyncio_client_sends_and_receives(valkey, redis_client):
    async def crawl():
        async with AsyncProducer(valkey.url, source="courier") as crawler:
            sent_counts = []
            ids = [
                id_ async for _, id_ in crawler.submit_many((str(n) for n in range(250)), progress=sent_counts.append)
            ]
            ids += [await crawler.submit("\ud800"), await crawler.retract("a.md")]
            assert sent_counts == [200, 250]
            waiting = [asyncio.create_task(crawler.wait(id_, timeout=120)) for id_ in ids]
            await asyncio.sleep(0.05)
            for id_ in ids:
                answer(redis_client, crawler.replies, id_)
            receipts = await asyncio.gather(*waiting)
            assert [(receipt.id, receipt.outcome) for receipt in receipts] == [(id_, "stored") for id_ in ids]
            assert (await crawler.wait("9-9", timeout=0.05)).outcome == "pending"
            assert await crawler.collect(ids[:1]) == {ids[0]: receipts[0]}

    asyncio.run(crawl())
    assert redis_client.xlen("documents") == 252


def test_the_asyncio_client_doubles_nothing(valkey, redis_client):
    dice = random.Random(7)

    async def crawl(url):
        async with AsyncProducer(url, source="courier", polite=False) as crawler:
            return [await crawler.submit(str(n)) for n in range(15)]

    with Proxy(valkey.socket, lambda: dice.choice(["pass", "pass", "drop_request", "drop_reply"])) as proxy:
        ids = asyncio.run(crawl(proxy.url))
        assert proxy.broken > 2
    assert [id_.decode() for id_, _ in redis_client.xrange("documents")] == ids


def test_an_invalid_url_is_reported_in_a_sentence():
    with pytest.raises(ValueError, match="names its hosts and the service"):
        Producer("redis+sentinel://localhost:26379")
    with pytest.raises(ValueError, match="timeout"):
        Producer("redis://localhost", timeout=1000)


def test_the_client_imports_neither_celery_nor_sqlalchemy():
    import subprocess
    import sys

    code = "import sys, worker.producer.client; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "redis" in loaded
    assert not {"celery", "kombu", "sqlalchemy", "alembic", "psycopg", "structlog", "yaml"} & set(loaded)


def test_an_unreachable_server_is_reported_within_the_timeout():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        with Producer(url, timeout=0.5) as crawler, pytest.raises(SubmissionUnsure):
            crawler.submit("a")
        assert time.monotonic() - started < 20
