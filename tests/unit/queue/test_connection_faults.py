"""The cause of a failure of Redis is named, in whatever form the client raises it."""

from __future__ import annotations

import pytest
from redis import ResponseError

from worker.queue.connection_faults import connection_fault

FULL = "MISCONF Errors writing to the AOF file: No space left on device"


@pytest.mark.parametrize(
    "message",
    [
        FULL,
        f"Command # 1 (XADD documents * raw SECRET) of pipeline caused error: {FULL}",
        f"ERR Error running script: {FULL}",
    ],
    ids=["a command", "a pipeline", "a script"],
)
def test_a_full_disk_of_redis_is_named_and_no_document_is_shown(message):
    fault = connection_fault("redis://host:6379/0", ResponseError(message))
    expected = "Redis at host:6379 cannot write its file: Errors writing to the AOF file: No space left on device"
    assert fault.cause == expected
    assert "Free space on the disk of Redis" in fault.remedy
