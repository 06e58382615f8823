"""Our log lines and those of libraries have one schema, without credentials and `secured`."""

import io
import json
import logging

import pytest
import structlog

from worker.telemetry.logs import FIELDS, configure, get_logger, line, mask


@pytest.fixture
def lines():
    """JSON logging is configured; call it for the lines so far."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure(form="json", level="debug", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(("text", "expected"), [
    ("redis://:hunter2@h:6379/0", "redis://…@h:6379/0"),
    ("postgresql://me:p%40ss@h/d failed", "postgresql://…@h/d failed"),
    ('secured: "AbCdEfGhIjKl;MnOp=="', 'secured: "…"'),
    ("'secured': 'AbCdEfGhIjKl;MnOp=='", "'secured': '…'"),
    ("https://example.com/a@b", "https://example.com/a@b"),
    ("no secret here", "no secret here"),
])  # fmt: skip
def test_secrets_are_redacted(text, expected):
    assert mask(text) == expected


def test_our_lines_and_those_of_libraries_have_one_form(lines):
    get_logger("ingest").info("Document stored", id="1-0", lane="documents")
    logging.getLogger("celery.worker").warning("Something %s", "foreign")
    ours, theirs = lines()
    assert {"at", "level", "logger", "event"} <= set(ours) & set(theirs)
    assert ours["logger"] == "copydesk.ingest"
    assert (ours["event"], ours["id"], ours["level"]) == ("Document stored", "1-0", "info")
    assert (theirs["event"], theirs["logger"]) == ("Something foreign", "celery.worker")
    assert ours["at"].endswith("Z")


def test_secrets_do_not_reach_the_log(lines):
    get_logger("store").error("It failed", error="postgresql://me:hunter2@h/d", secured="abcdefghijkl")
    logging.getLogger("kombu").warning("Cannot connect to redis://:hunter2@h/0")
    text = json.dumps(lines())
    assert "hunter2" not in text
    assert "abcdefghijkl" not in text


def test_secrets_in_a_traceback_do_not_reach_the_log(lines):
    error = RuntimeError("cannot open postgresql://me:hunter2@h/d")
    get_logger("store").error("It failed", exc_info=error)
    assert "hunter2" not in json.dumps(lines())


def test_debug_lines_are_written_only_at_level_debug():
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure(form="json", level="info", stream=stream)
    try:
        logging.getLogger("copydesk.ingest").debug("quiet")
        logging.getLogger("copydesk.ingest").info("loud")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
        structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_a_line_of_a_document_cannot_forge_another(lines):
    get_logger("ingest").warning("Document rejected", key='x\n{"event": "forged"}')
    (only,) = lines()
    assert only["key"].startswith("x\n")


def test_each_logged_field_is_described():
    assert all(meaning for meaning in FIELDS.values())


@pytest.mark.parametrize(("level", "expected"), [
    ("info", ["ingest info", "worker info"]),
    ("warning,ingest=debug", ["ingest debug", "ingest info"]),
    ("info,celery=info", ["ingest info", "worker info", "celery info"]),
    ("debug,ingest=warning", ["worker info", "worker debug", "celery info"]),
])  # fmt: skip
def test_each_area_can_have_its_level(level, expected):
    stream, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    configure(form="json", level=level, stream=stream)
    try:
        for area in ("ingest", "worker"):
            for name in ("debug", "info"):
                logging.getLogger(f"copydesk.{area}").log(getattr(logging, name.upper()), f"{area} {name}")
        logging.getLogger("celery").info("celery info")
    finally:
        configure(form="json", stream=stream)  # the levels of libraries are reset with it
        logging.getLogger("celery").setLevel(logging.NOTSET)
        root.handlers[:], level = before
        root.setLevel(level)
        structlog.reset_defaults()
    assert sorted(json.loads(line)["event"] for line in stream.getvalue().splitlines()) == sorted(expected)


def test_control_characters_do_not_reach_a_terminal():
    stream = io.StringIO()
    shown = line("x\x1b[2Jy", logger="celery.worker", form="console", stream=stream)
    assert "\x1b[2J" not in shown


def test_a_line_made_without_a_lock_has_the_same_form():
    made = json.loads(
        line("Warm shutdown redis://:hunter2@h", logger="celery.worker", form="json", stream=io.StringIO())
    )
    assert made["event"] == "Warm shutdown redis://…@h"
    assert set(made) == {"event", "level", "logger", "at"}
