"""Measure CPU seconds and peak memory of processes. Both are read from the operating system, so they are valid on a
loaded machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil


def tree(pid: int) -> Iterator[psutil.Process]:
    """Return a process and all its descendants."""
    try:
        root = psutil.Process(pid)
        yield from (root, *root.children(recursive=True))
    except psutil.NoSuchProcess:
        return


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds that the process trees of `pids` have used so far, including children that have ended."""
    total = 0.0
    for pid in pids:
        for process in tree(pid):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def cpu_by_process(pid: int) -> dict[str, float]:
    """Return the CPU seconds of each process of a tree so far, by its id and the end of its command line."""
    found = {}
    for process in tree(pid):
        try:
            times, words = process.cpu_times(), " ".join(process.cmdline()[1:])
        except psutil.NoSuchProcess:
            continue
        found[f"{process.pid} {words[-60:]}"] = times.user + times.system
    return found


def peak_megabytes(pid: int) -> list[float]:
    """Return the peak memory of each process of a tree, largest first."""
    peaks = []
    for process in tree(pid):
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        peaks += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")]
    return sorted(peaks, reverse=True)


def own_megabytes(pid: int) -> list[float]:
    """Return the memory that each process of a tree shares with no other process, largest first."""
    own = []
    for process in tree(pid):
        try:
            own.append(process.memory_full_info().uss / 2**20)
        except psutil.Error:
            continue
    return sorted(own, reverse=True)
