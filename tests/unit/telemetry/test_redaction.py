"""Planted secrets in the exceptions of libraries do not reach the log."""

import psycopg
import pytest
import redis
from sqlalchemy import create_engine

from worker.telemetry import redaction
from worker.telemetry.redaction import mask, mask_value, remember

SECURED = "QUJDREVGR0hJSktMTU5PUA==;MTIzNDU2Nzg5MDEyMzQ1Ng=="


@pytest.fixture(autouse=True)
def _forget_afterwards(monkeypatch):
    monkeypatch.setattr(redaction, "_known", ())


@pytest.mark.parametrize("text", [
    f"secured: {SECURED}", f'secured: "{SECURED}"', f"secured: '{SECURED}'", f'{{"secured": "{SECURED}"}}',
    f"secured: |\n  {SECURED}", f"secured: >-\n  {SECURED}", f"{{'secured': '{SECURED}'}}", f'{{\\"secured\\": \\"{SECURED}\\"}}',
    f"secured : {SECURED}", f"secured={SECURED}", f"secured: not*base64*{SECURED}",
])  # fmt: skip
def test_secured_is_redacted_in_any_spelling(text):
    assert "QUJDREVGR0" not in mask(text)
    assert "MTIzNDU2" not in mask(text)


@pytest.mark.parametrize("text", [
    "redis://:hunter2@h:6379/0", "redis://u:hunter2@h?x=1", "postgresql://u:p@hunter2@h/d",
    "redis://h/0?password=hunter2&db=1", "host=h password=hunter2 user=u", "password='hunter2'", 'PASSWORD = "hunter2"',
    "{'password': 'hunter2'}", "https://editor:hunter2@news.example/story",
])  # fmt: skip
def test_credentials_are_redacted_in_any_spelling(text):
    assert "hunter2" not in mask(text)


@pytest.mark.parametrize("url", [
    "redis://:tr0ub4dor@h:6379/0", "postgresql://u:tr0ub4dor@h/d", "redis://h/0?password=tr0ub4dor",
])  # fmt: skip
def test_the_password_of_a_server_is_redacted_in_every_place(url):
    remember([url])
    assert mask("AUTH failed for tr0ub4dor.") == "AUTH failed for …."


def test_a_password_with_escapes_is_redacted_in_both_forms():
    remember(["redis://:p%40ss%2Fword@h"])
    assert mask("p@ss/word and p%40ss%2Fword") == "… and …"


def test_a_very_short_password_redacts_nothing():
    remember(["redis://:a@h"])
    assert mask("a batch") == "a batch"


def test_nested_values_are_redacted():
    masked = mask_value({"a": ["redis://:hunter2@h"], "secured": SECURED, "n": 1, "t": ("password=hunter2",)})
    assert masked == {"a": ["redis://…@h"], "n": 1, "t": ["password=…"]}


def test_error_messages_of_drivers_are_redacted():
    url = "postgresql+psycopg://me:hunter2hunter2@127.0.0.1:1/d?connect_timeout=1"
    remember([url])
    with pytest.raises(Exception) as failed:
        create_engine(url).connect()
    assert "hunter2" not in mask(repr(failed.value) + str(failed.value))
    with pytest.raises(psycopg.Error) as refused:
        psycopg.connect("host=127.0.0.1 port=1 password=hunter2hunter2 nonsense=1")
    assert "hunter2" not in mask(repr(refused.value))
    with pytest.raises(ValueError) as unusable:
        redis.Redis.from_url("nothing://:hunter2hunter2@h")
    assert "hunter2" not in mask(repr(unusable.value))
