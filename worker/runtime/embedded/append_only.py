"""Repairs Valkey's append-only file: copies it, then cuts everything after the last complete command.

Valkey refuses to start with a damaged file. A killed process, a full disk or a second writer can damage it.
"""

from __future__ import annotations

import mmap
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

_LONGEST_NUMBER = 22
_UNKNOWN_COMMAND = re.compile(r"reading the append only file .*unknown command '([^']*)'", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut off: how many bytes, from which file, and where the copy of the whole file is."""

    file: Path
    bytes: int
    copy: Path


def repair(folder: Path, log: str) -> list[Cut]:
    """Cut the damaged ends of the command files under `folder`. `log`: Valkey's log of the failed start.

    Returns an empty list if nothing can be repaired. Raises OSError, before any cut, if a file cannot be copied.
    """
    unknown = _UNKNOWN_COMMAND.search(log)
    name = unknown[1].encode("utf-8", "replace").upper() if unknown else None
    cuts = []
    for file in _files(folder / "appendonlydir"):
        size = file.stat().st_size
        end = whole_commands(file, unknown=name)
        if end < size:
            copy = folder / f"damaged-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09d}-{file.name}"
            shutil.copy2(file, copy)
            with file.open("r+b") as opened:
                opened.truncate(end)
            cuts.append(Cut(file, size - end, copy))
    return cuts


def _files(folder: Path) -> list[Path]:
    """Return the command files in the order in which Valkey reads them. The base file before them is a snapshot."""
    try:
        manifest = (folder / "appendonly.aof.manifest").read_text("utf-8", "replace")
    except OSError:
        return []
    names = re.findall(r"^file (\S+) seq \d+ type i", manifest, re.MULTILINE)
    return [folder / Path(name).name for name in names if (folder / Path(name).name).exists()]


def whole_commands(file: Path, *, unknown: bytes | None = None) -> int:
    """Return where the last complete command ends, in bytes.

    A transaction is complete only with its EXEC. `unknown`: the first command of this name counts as damage.
    """
    if not file.stat().st_size:
        return 0
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end, transaction = 0, -1
        while end < len(data):
            command = _command(data, end)
            if command is None or (unknown is not None and command[0] == unknown):
                break
            name, after = command
            if name == b"MULTI":
                transaction = end
            elif name == b"EXEC":
                transaction = -1
            end = after
        return end if transaction < 0 else transaction


def _command(data: mmap.mmap, start: int) -> tuple[bytes, int] | None:
    """Return name and end of the command at `start`; None if it is damaged or incomplete."""
    if data[start : start + 1] == b"#":  # an annotation, such as a time
        after = data.find(b"\r\n", start, start + 1024)
        return (b"", after + 2) if after >= 0 else None
    header = _number(data, start, b"*")
    if header is None or header[0] < 1:
        return None
    count, place = header
    name = b""
    for number in range(count):
        header = _number(data, place, b"$")
        if header is None:
            return None
        length, place = header
        if data[place + length : place + length + 2] != b"\r\n":
            return None
        if number == 0:
            name = data[place : place + min(length, 64)].upper()
        place += length + 2
    return name, place


def _number(data: mmap.mmap, start: int, sign: bytes) -> tuple[int, int] | None:
    """Return the number of a line such as `*3` or `$12`, and where the next line begins; None for any other line."""
    end = data.find(b"\r\n", start, start + _LONGEST_NUMBER)
    line = data[start:end] if end >= 0 else b""
    return (int(line[1:]), end + 2) if line[:1] == sign and line[1:].isdigit() else None
