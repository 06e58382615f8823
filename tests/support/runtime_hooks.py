"""Documents that end the process which reads them, to test how a worker handles it."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import ROOT

_HOOK = """
import ctypes, os, resource, signal, time
from worker import pipeline

_read = pipeline.read_version

def _size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

def read_version(version, limits):
    if b"test: segfault" in version.raw:
        ctypes.string_at(0)
    if b"test: exit" in version.raw:
        os._exit(70)
    if b"test: out of memory" in version.raw:
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does
    if b"test: memory limit" in version.raw:
        resource.setrlimit(resource.RLIMIT_AS, (_size() + (64 << 20), resource.RLIM_INFINITY))
        hoard = []
        while True:
            hoard.append(bytearray(1 << 20))
    while b"test: endless" in version.raw:
        time.sleep(0.1)
    return _read(version, limits)

pipeline.read_version = read_version

_write = pipeline.BatchWriter.write

def write(self, items):
    for item in items:
        if not item.rejected and b"storing: segfault" in item.raw:
            ctypes.string_at(0)
        while not item.rejected and b"storing: endless" in item.raw:
            time.sleep(0.1)
    return _write(self, items)

pipeline.BatchWriter.write = write
"""


def deadly(folder: Path) -> dict[str, str]:
    """Settings under which a document with `test: segfault`, `exit`, `out of memory`, `memory limit` or `endless` has
    that effect when it is read, and one with `storing: segfault` or `storing: endless` when it is stored.
    """
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(_HOOK)
    return {"PYTHONPATH": f"{hook}:{ROOT}"}


# The shortest lease that the order of time-outs allows.
SHORT = {"COPYDESK_STATEMENT_SECONDS": "2", "COPYDESK_IDLE_TRANSACTION_SECONDS": "2.5", "COPYDESK_TASK_SECONDS": "3",
         "COPYDESK_LEASE_SECONDS": "4"}  # fmt: skip


def article(number: int, more: str = "") -> str:
    return f'---\ntitle: "Story {number}"\nwebUrl: https://www.ferry.example/{number}\n---\n{more}\n'
