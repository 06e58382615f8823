"""When an ended process is restarted."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from worker.runtime.supervision.restarts import Backoff, keep_running, wait_for_end


def test_waits_double_up_to_the_longest_and_start_over_after_a_long_run():
    backoff = Backoff(first=0.5, longest=3.0)
    assert [backoff.after_run(1) for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]
    assert backoff.after_run(61) == 0.5
    assert backoff.after_run(20) == 1.0


def test_failed_starts_are_counted_in_a_row():
    backoff = Backoff()
    for lived, expected in ((1, 1), (9, 2), (11, 0), (0, 1)):
        backoff.after_run(lived)
        assert backoff.failed_starts == expected


def test_an_ended_process_is_restarted_until_it_is_stopped():
    codes, reported, waits = iter([1, -9, None]), [], []

    def is_stopped_after(wait):
        waits.append(wait)
        return False

    ended = keep_running(lambda: next(codes), lambda *end: reported.append(end), is_stopped_after, backoff=Backoff())
    assert ended is None
    assert reported == [(1, 1.0), (-9, 2.0)]
    assert waits == [1.0, 2.0]


def test_a_stop_during_the_wait_starts_nothing():
    codes = iter([1])
    assert keep_running(lambda: next(codes), lambda *_: None, lambda _: True, backoff=Backoff()) is None


def test_a_process_that_never_starts_is_given_up_with_its_code():
    runs = []

    def run_once():
        runs.append(1)
        return 7

    ended = keep_running(run_once, lambda *_: None, lambda _: False, backoff=Backoff(), max_failed_starts=3)
    assert (ended, len(runs)) == (7, 3)


def test_waiting_for_a_process_returns_its_code_or_nothing_when_stopped():
    stop = threading.Event()
    assert wait_for_end(subprocess.Popen([sys.executable, "-c", "raise SystemExit(4)"]), stop) == 4
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    assert wait_for_end(process, stop) is None
    assert time.monotonic() - began < 30  # the process would run for 60
    process.kill()
    process.wait()
