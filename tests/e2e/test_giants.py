"""Oversized entries end no process, use little memory in a worker, and do not delay small documents."""

import hashlib
import json
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support.servers import Background, processes_naming, until

MEGABYTE = 1 << 20


def peak_megabytes(pid):
    """Return (command line, largest resident size so far) of each process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "), int(status["VmHWM"].split()[0]) // 1024


def small(number):
    return f"---\ntitle: Small {number}\nwebUrl: https://giants.example/{number}\n---\n"


@pytest.mark.parametrize(
    ("count", "size", "seconds"),
    [
        (2, 40 * MEGABYTE, 40),
        pytest.param(4, 490 * MEGABYTE, 240, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_oversized_entries_are_rejected_in_little_memory_and_delay_no_other(
    count, size, seconds, valkey, migrated_home
):
    with (
        valkey.client(socket_timeout=120) as client,
        Background("worker", cwd=migrated_home, is_fresh=True, COPYDESK_REDIS_URL=valkey.url) as worker,
    ):
        wanted = {}
        for number in range(count):
            raw = bytes([65 + number]) * size
            client.xadd("documents", {"raw": raw, "source": "s", "reply_to": "replies:giants"})
            wanted[hashlib.sha256(raw).digest()] = size
            for each in range(20):
                client.xadd("documents", {"raw": small(number * 20 + each), "reply_to": "replies:small"})
        pushed = time.monotonic()
        store = create_engine(f"sqlite:///{migrated_home}/.copydesk/copydesk.db")

        def settled(outcome):
            with store.connect() as connection:
                return connection.scalar(text("SELECT count(*) FROM receipts WHERE outcome = :o"), {"o": outcome})

        until(lambda: settled("stored") == 20 * count, seconds=seconds, what="the small ones are stored")
        small_took = time.monotonic() - pushed
        until(lambda: settled("rejected") == count, seconds=seconds, what="the giants are dead letters")
        took = time.monotonic() - pushed
        with store.connect() as connection:
            kept = connection.execute(text(
                "SELECT d.code, r.attempts, w.sha256, w.size, length(w.bytes) AS bytes FROM dead_letters d"
                " JOIN receipts r ON r.id = d.receipt_id JOIN raw_documents w ON w.sha256 = d.raw_sha256"
            )).all()  # fmt: skip
        assert {row.sha256: row.size for row in kept} == wanted
        assert {(row.code, row.bytes) for row in kept} == {("too_large", 65536)}
        # While Redis receives the next large entry it may answer nobody for longer than a worker waits; then the
        # request is tried again.
        assert all(row.attempts < 3 for row in kept)
        until(lambda: client.xlen("documents") == 0, what="all are settled")
        replies = client.xrange("replies:giants")
        assert len({json.loads(fields[b"receipt"])["id"] for _, fields in replies}) == count
        peaks = [peak_megabytes(pid) for pid in processes_naming(valkey.url)]
        workers = [megabytes for command, megabytes in peaks if b"worker.cli.main worker" in command]
        print(f"small {small_took:.1f} s, all {took:.1f} s after the last push; worker peaks {workers} MB")
        assert len(workers) >= 3
        assert max(workers) < 300
        # On a busy machine Redis receives a large entry for longer than the time limit of a task that waits for it.
        assert not [
            line for line in worker.text().splitlines() if "Traceback" in line and "TimeLimitExceeded" not in line
        ]
