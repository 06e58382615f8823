"""Locks on the data directory: one process owns the embedded Valkey, others may use it meanwhile.

`owner.lock`   is held by the process that starts and stops Valkey, from before the start until Valkey has ended.
`valkey.lock`  is inherited by Valkey: held while a Valkey of this directory runs, even if its owner was killed.
`users.lock`   is shared by commands that use the owner's Valkey. The owner takes it exclusively before it stops Valkey.

Locks are `flock`: the kernel releases them when their holder ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

OWNER, VALKEY, USERS = "owner.lock", "valkey.lock", "users.lock"

_PROBE_SECONDS = 0.3
"""How long to retry: a process that tests a lock takes it for a moment, so one refusal does not mean it is held."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, as far as it is known."""

    pid: int | None = None
    command: str = "another command"

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})" if self.pid else self.command


class FileLock:
    """A `flock` on a file of the data directory. The file's content names the holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    @property
    def file(self) -> int:
        """The descriptor that holds the lock; -1 when it is not held."""
        return self._file

    def acquire(self, *, shared: bool = False) -> bool:
        """Take the lock, trying for 0.3 seconds; return False if another process holds it. Raises OSError."""
        file = self._open()
        deadline = time.monotonic() + _PROBE_SECONDS
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(file)
                    return False
                time.sleep(0.02)
            except BaseException:
                os.close(file)
                raise
            else:
                self._file = file
                if self.is_in_place():
                    return True
                self.close()  # the file was removed between opening and locking
                file = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def is_in_place(self) -> bool:
        """Return whether the locked file is still at `path`. If it was removed, others can lock a new file there."""
        return self._file >= 0 and is_same_file(self.path, os.fstat(self._file))

    def write(self, holder: Holder) -> None:
        """Record who holds the lock. Raises OSError, which names the file."""
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps({"pid": holder.pid, "command": holder.command}).encode(), 0)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def erase(self) -> None:
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Release the lock, unless a child has inherited it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_same_file(path: Path, file: os.stat_result) -> bool:
    """Return whether the file at `path` is the one that `file` describes."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino)


def is_held(path: Path) -> bool:
    """Return whether any process holds the lock exclusively."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def holder_of(path: Path) -> Holder:
    """Return who is recorded as the lock's holder; an empty `Holder` if nobody is."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(path.read_bytes())
            return Holder(int(record["pid"]), str(record["command"]))
        if time.monotonic() > deadline:
            return Holder()
        time.sleep(0.02)


def owner_of(data_dir: Path) -> Holder | None:
    """Return the process that owns the embedded Valkey of `data_dir`; None if none does."""
    path = data_dir / OWNER
    return holder_of(path) if is_held(path) else None


def valkey_of(data_dir: Path) -> Holder | None:
    """Return the Valkey that runs on the files of `data_dir`, whether it answers or not; None if none runs."""
    path = data_dir / VALKEY
    return holder_of(path) if is_held(path) else None


def valkey_processes(data_dir: Path) -> list[int]:
    """Return the Valkey processes that hold `valkey.lock`, including its forked children.

    The recorded pid alone is not enough to kill a process: it may be of another container, or have been reused.
    """
    recorded = holder_of(data_dir / VALKEY).pid
    if not Path("/proc/self/fd").exists():
        return [recorded] if recorded and "valkey" in _command_line(recorded) else []
    lock = (data_dir / VALKEY).stat()
    return [pid for pid in _pids() if _is_valkey(pid) and _has_open(pid, lock)]


def users_of(data_dir: Path) -> list[Holder]:
    """Return the commands that share `users.lock`; always empty without /proc/locks, which only Linux has."""
    try:
        lock, table = (data_dir / USERS).stat(), Path("/proc/locks").read_text()
    except OSError:
        return []
    pids = set()
    for line in table.splitlines():
        fields = line.split()
        # 1: FLOCK ADVISORY READ 4711 08:01:1234 0 EOF
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[3] == "READ" and fields[5].endswith(f":{lock.st_ino}"):
            pids.add(int(fields[4]))
    return [Holder(pid, _command_line(pid)) for pid in sorted(pids - {0, os.getpid()})]


def is_stopped(pid: int) -> bool:
    """Return whether the process was stopped by a signal (SIGSTOP, Ctrl-Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _is_valkey(pid: int) -> bool:
    try:
        return "valkey" in Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return False


def _has_open(pid: int, file: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                status = descriptor.stat()
                if (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino):
                    return True
    return False


def _command_line(pid: int) -> str:
    """Return the command of the process, such as `copydesk submit`."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        listed = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False)
        words = listed.stdout.split()
    names = [Path(word).name for word in words[:4]]
    if "copydesk" in names or "worker.cli.main" in names:
        at = names.index("copydesk" if "copydesk" in names else "worker.cli.main")
        return " ".join(["copydesk", *words[at + 1 : at + 2]]).strip()
    return next(iter(names), "") or "another command"
