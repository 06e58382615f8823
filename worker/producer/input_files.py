"""Reads paths of the command line as submissions: files, folders, `-` for stdin, and `.jsonl` files of the contract."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from worker.errors import CopydeskError
from worker.producer.submission import Submission, encoded

SUFFIXES = frozenset({".md", ".markdown", ".txt"})
_REPORTED = 100
_FIELDS = ("source", "key", "op", "reply_to", "traceparent")
MAX_BYTES = 512 << 20
"""The largest value that Redis takes (`proto-max-bulk-len`, by default)."""
MAX_LINE_BYTES = 2 * MAX_BYTES
"""The longest line of a `.jsonl` file; in base64 a document takes 4 bytes for 3."""
_PIECE_BYTES = 8 << 20


class UnreadablePath(CopydeskError):
    """Raised when a given path cannot be read, or a line of a `.jsonl` file does not follow the contract."""


def read_paths(paths: Sequence[str], *, source: str) -> Iterator[Submission]:
    """Yield one submission for each document in `paths`. It holds one document in memory at a time.

    The key of a file is its path relative to the given folder, or its name if the file itself was given. Raises
    UnreadablePath.
    """
    for name in paths:
        if name == "-":
            yield Submission(_limited(sys.stdin.buffer, "standard input"), source=source, label="-")
            continue
        path = Path(name)
        with _errors_named(name):
            if path.is_dir():
                for file in _files_below(path):
                    relative = str(file.relative_to(path))
                    yield Submission(_content(file), source=source, key=_utf8(relative), label=_utf8(str(file)))
            elif path.suffix.lower() == ".jsonl":
                yield from _read_lines(path, source)
            else:
                yield Submission(_content(path), source=source, key=_utf8(path.name), label=_utf8(str(path)))


def count_documents(paths: Sequence[str], report: Callable[[int], None] = lambda _: None) -> int | None:
    """Return how many documents `read_paths` will yield; None if a path can be read only once (a named pipe).

    Raises UnreadablePath where `read_paths` would, so that nothing is submitted if a path or a line is wrong. It reads
    the lines of `.jsonl` files, and of other files only whether they can be opened. `report` gets the count at each hundred.
    """
    count = 0
    for name in paths:
        path = Path(name)
        if name == "-":
            count += 1
            continue
        with _errors_named(name):
            if path.is_dir():
                for file in _files_below(path):
                    _check_file(file)
                    count += 1
                    if count % _REPORTED == 0:
                        report(count)
            elif path.exists() and not path.is_file():
                return None
            elif path.suffix.lower() == ".jsonl":
                for _ in _read_lines(path, ""):
                    count += 1
                    if count % _REPORTED == 0:
                        report(count)
            else:
                _check_file(path)
                count += 1
    return count


@contextlib.contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadablePath(f"{name}: {error.strerror or error}") from error


def _check_file(path: Path) -> None:
    with _errors_named(str(path)), path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise _too_large(str(path))


def _content(path: Path) -> bytes:
    with _errors_named(str(path)), path.open("rb") as file:
        return _limited(file, str(path))


def _limited(file: BinaryIO, name: str) -> bytes:
    """Return the content of a file. It is read in pieces, because one without an end (`/dev/zero`) has no size."""
    pieces, size = [], 0
    while piece := file.read(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise _too_large(name)
    return b"".join(pieces)


def _too_large(name: str) -> UnreadablePath:
    return UnreadablePath(f"{name}: more than {MAX_BYTES >> 20} MiB. Redis takes no larger value")


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the documents in a folder and in those below it, in the order of their paths.

    Only the names in the folders on the way to the current file are in memory. Links to folders are not followed, so a
    circle of links ends. A folder below that may not be read is skipped.
    """
    waiting = _last_name_first(os.fspath(folder))
    while waiting:
        entry = waiting.pop()
        if entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(PermissionError):
                waiting += _last_name_first(entry.path)
        elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
            yield Path(entry.path)


def _last_name_first(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name, reverse=True)


def _read_lines(path: Path, source: str) -> Iterator[Submission]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
            if not line.strip():
                continue
            label = f"{path}:{number}"
            if len(line) == MAX_LINE_BYTES:
                raise _too_large(label)
            try:
                submission = _submission_of(json.loads(line), source, label)
            except (TypeError, ValueError, RecursionError) as error:
                raise UnreadablePath(f"{label}: not a JSON object with the fields of the contract ({error})") from error
            yield submission


def _submission_of(fields: Any, source: str, label: str) -> Submission:
    """Return the submission in the object of a line. Raises TypeError or ValueError."""
    if not isinstance(fields, dict):
        raise TypeError("it is no object")
    given: dict[str, str] = {}
    for name in ("raw", "raw_base64", *_FIELDS):
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and name == "key":
            value = str(value)  # the number of a row in a crawler's database
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is no text")
        if value is not None:
            given[name] = value
    raw = encoded(given.pop("raw", ""))
    in_base64 = given.pop("raw_base64", None)
    if in_base64 is not None:
        raw = base64.b64decode("".join(in_base64.split()), validate=True)  # some encoders make lines of 76 characters
    return Submission(raw, label=label, **{"source": source, **given})


def _utf8(text: str) -> str:
    """Return a file's name with each byte that is not UTF-8 as an escape, so that it can be sent and read."""
    return text.encode("utf-8", "backslashreplace").decode()
