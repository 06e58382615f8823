"""The client's names of the last release still work, and warn."""

import pytest

from worker.intake import producer, producer_async
from worker.producer.async_client import AsyncProducer
from worker.producer.client import Producer, Submission, SubmissionUnsure


def test_the_old_modules_pass_on_the_clients_and_warn():
    with pytest.warns(DeprecationWarning, match="worker.producer.client"):
        assert producer.Producer is Producer
    with pytest.warns(DeprecationWarning, match="worker.producer.async_client"):
        assert producer_async.AsyncProducer is AsyncProducer
    with pytest.raises(AttributeError):
        _ = producer.NoSuchName


def test_the_old_names_of_a_repetition_are_passed_on_and_warn(monkeypatch):
    unsure = SubmissionUnsure("token", [Submission(b"a")], ConnectionError())
    with pytest.warns(DeprecationWarning, match="idempotency_key"):
        assert unsure.once == "token"
    monkeypatch.setattr(Producer, "retry", lambda self, error: [error.idempotency_key])
    with pytest.warns(DeprecationWarning, match="retry"):
        assert Producer("redis://localhost").again(unsure) == ["token"]


@pytest.mark.parametrize("client", [Producer, AsyncProducer])
def test_the_old_name_of_the_time_limit_is_later_on_and_warns(client):
    with pytest.warns(DeprecationWarning, match="timeout="), pytest.raises(ValueError, match="timeout is between"):
        client("redis://localhost", patience=1000)
