"""A warning of one kind is written once a minute, with a count of the suppressed ones; other lines are not throttled."""

import io
import json
import logging
import os

import pytest
import structlog

from worker.telemetry.logs import configure, get_logger
from worker.telemetry.throttling import MinuteThrottle


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def written():
    """`written()` are the JSON lines so far; `written.clock` is the handler's."""
    stream, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    configure(form="json", stream=stream)
    (handler,) = root.handlers

    def lines():
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    lines.clock = handler._clock = Clock()
    lines.handler = handler
    yield lines
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


log = get_logger("ingest")


def test_a_thousand_warnings_are_one_line_and_then_a_count(written):
    for n in range(1000):
        log.warning("Document rejected", id=f"{n}-0", source="s", codes=["no_title"])
    assert [line["id"] for line in written()] == ["0-0"]
    written.clock.now = 61
    log.info("Something else")
    _, left_out, other = written()
    assert (left_out["event"], left_out["id"], left_out["left_out"]) == ("Document rejected", "999-0", 998)
    assert other["event"] == "Something else"


def test_a_continuing_warning_is_written_once_a_minute(written):
    for second in range(180):
        written.clock.now = second
        log.error("The store cannot be used", error=f"at {second}")
    assert len(written()) == 3
    assert sum(1 + line.get("left_out", 0) for line in written()) == 120, "the last minute's are still open"
    written.handler.close()
    assert sum(1 + line.get("left_out", 0) for line in written()) == 180


def test_another_lane_or_source_is_another_warning_and_another_document_is_not(written):
    for source in ("a", "b"):
        for code in ("x", "y"):
            for lane in ("l", "m"):
                log.warning("Document rejected", id=code, source=source, codes=[code], lane=lane)
    assert len(written()) == 4


def test_information_is_never_throttled(written):
    for _ in range(5):
        log.info("Document stored")
    assert len(written()) == 5


def test_a_line_of_a_library_is_identified_by_its_template(written):
    for n in range(50):
        logging.getLogger("celery.worker").error("Cannot connect, trying again in %s s", n)
    assert len(written()) == 1
    written.handler.close()
    assert written()[1]["event"] == "Cannot connect, trying again in 49 s (and 48 more like it)"


def test_invented_sources_do_not_bypass_throttling(written):
    for n in range(10_000):
        log.warning("Document rejected", source=f"s{n}")
    assert len(written()) <= 22


def test_a_forked_child_does_not_write_its_parents_lines_again(written):
    for _ in range(3):
        log.warning("Document rejected")
    child = os.fork()
    if not child:
        MinuteThrottle.close(written.handler)
        os._exit(len(written()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
