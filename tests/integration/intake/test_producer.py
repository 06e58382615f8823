"""What a crawler sends is what arrives, byte for byte."""

from worker.intake.producer import Submission, submit_entry, submit_many


def test_only_what_is_set_is_sent(redis_client):
    id_ = submit_entry(redis_client, "documents", b"---\n\xff\x00", source="s", key="k")
    assert redis_client.xrange("documents") == [
        (id_.encode(), {b"raw": b"---\n\xff\x00", b"source": b"s", b"key": b"k"})
    ]


def test_a_retraction_needs_no_text(redis_client):
    submit_entry(redis_client, "documents", b"", source="s", key="k", op="retract", reply_to="replies:s")
    ((_, fields),) = redis_client.xrange("documents")
    assert fields == {b"raw": b"", b"source": b"s", b"key": b"k", b"op": b"retract", b"reply_to": b"replies:s"}


def test_many_keep_their_order_and_get_their_ids(redis_client):
    submissions = [Submission(str(n).encode(), label=f"file {n}") for n in range(25)]
    pushed = list(submit_many(redis_client, "documents", submissions, chunk=10))
    assert [submission for submission, _ in pushed] == submissions
    stored = [(id_.decode(), fields[b"raw"]) for id_, fields in redis_client.xrange("documents")]
    assert stored == [(id_, submission.raw) for submission, id_ in pushed]
