"""What a pool process sets for itself after the fork."""

import gc
import multiprocessing
import os

import pytest
from celery import signals

from worker.runtime import app


def _values(end):
    signals.worker_process_init.send(sender=app.app)
    end.send((os.sched_getscheduler(0), gc.get_threshold()[0], gc.get_freeze_count() > 0))


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="schedulers can be chosen on Linux only")
def test_a_pool_process_computes_in_long_slices_and_rarely_collects_garbage():
    context = multiprocessing.get_context("fork")
    end, other = context.Pipe()
    process = context.Process(target=_values, args=(other,))
    process.start()
    process.join(20)
    assert end.poll(), "the process ended without an answer"
    assert end.recv() == (os.SCHED_BATCH, 20_000, True)
    assert os.sched_getscheduler(0) != os.SCHED_BATCH
