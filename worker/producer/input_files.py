"""Reads paths of the command line as submissions: files, folders, `-` for stdin, and `.jsonl` files of the contract."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from schemas.envelope import Op
from worker.errors import CopydeskError
from worker.producer.submission import Submission, encoded

SUFFIXES = frozenset({".md", ".markdown", ".txt"})
_LINES_SUFFIX = ".jsonl"
_FIRST_LINE_BYTES = 64 << 10
_LONG_LINE = re.compile(
    rb'''\{(?:\s*"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|null|-?[0-9]+)\s*,)*\s*"(?:raw|raw_base64)"\s*:\s*"'''
)
"""The beginning of a line of the contract whose document is longer than what is read of it."""
_REPORTED = 100
_FIELDS = ("source", "key", "op", "reply_to", "traceparent")
MAX_BYTES = 512 << 20
"""The largest value that Redis takes (`proto-max-bulk-len`, by default)."""
MAX_LINE_BYTES = 2 * MAX_BYTES
"""The longest line of a `.jsonl` file; in base64 a document takes 4 bytes for 3."""
_PIECE_BYTES = 64 << 10
"""A file is read in pieces of this size. Python allocates a whole piece before it reads a small file. With pieces of 8 MiB
glibc reused no gap between documents, and `submit` grew by 4 KB with each file of a folder (43 MB for 10,000 files).
"""


class UnreadablePath(CopydeskError):
    """Raised when a given path cannot be read, or a line of a `.jsonl` file does not follow the contract."""


def read_paths(
    paths: Sequence[str], *, source: str, skipped: Callable[[Path], None] = lambda _: None
) -> Iterator[Submission]:
    """Yield one submission for each document in `paths`. It holds one document in memory at a time.

    The key of a file is its path relative to the given folder, or its name if the file itself was given. `skipped` gets
    each `.jsonl` file in a folder that is no file of the contract. Raises UnreadablePath.
    """
    for name in paths:
        if name == "-":
            yield Submission(_limited(sys.stdin.buffer, "standard input"), source=source, label="-")
            continue
        path = Path(name)
        with _errors_named(name):
            if path.is_dir():
                for file in _files_below(path, skipped):
                    if _has_lines(file):
                        yield from _read_lines(file, source)
                        continue
                    relative = str(file.relative_to(path))
                    yield Submission(_content(file), source=source, key=_utf8(relative), label=_utf8(str(file)))
            elif _has_lines(path):
                yield from _read_lines(path, source)
            else:
                yield Submission(_content(path), source=source, key=_utf8(path.name), label=_utf8(str(path)))


def count_documents(
    paths: Sequence[str],
    report: Callable[[int], None] = lambda _: None,
    *,
    skipped: Callable[[Path], None] = lambda _: None,
) -> int | None:
    """Return how many documents `read_paths` will yield; None if a path can be read only once (a named pipe).

    Raises UnreadablePath where `read_paths` would, so that nothing is submitted if a path or a line is wrong. It reads
    the lines of `.jsonl` files, and of other files only whether they can be opened. `report` gets the count at each hundred.
    `skipped`: see `read_paths`.
    """
    count = 0

    def add() -> None:
        nonlocal count
        count += 1
        if count % _REPORTED == 0:
            report(count)

    for name in paths:
        path = Path(name)
        if name == "-":
            count += 1
            continue
        with _errors_named(name):
            if path.exists() and not path.is_file() and not path.is_dir():
                return None
            for file in _files_below(path, skipped) if path.is_dir() else (path,):
                if _has_lines(file):
                    for _ in _read_lines(file, ""):
                        add()
                else:
                    _check_file(file)
                    add()
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


def _has_lines(path: Path) -> bool:
    return path.suffix.lower() == _LINES_SUFFIX


def _is_of_contract(path: Path) -> bool:
    """Return whether the first line of a `.jsonl` file is one of the contract: a document, or an operation that it knows.

    A folder of documents may also hold data of other programs in `.jsonl` files.
    """
    with _errors_named(str(path)), path.open("rb") as file:
        first_bytes = file.read(_FIRST_LINE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    line, end, _ = first_bytes.partition(b"\n")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return not end and _LONG_LINE.match(line) is not None
    if not isinstance(fields, dict):
        return False
    return any(isinstance(fields.get(name), str) for name in ("raw", "raw_base64")) or fields.get("op") in tuple(Op)


def _files_below(folder: Path, skipped: Callable[[Path], None]) -> Iterator[Path]:
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
            continue
        path = Path(entry.path)
        is_document = path.suffix.lower() in SUFFIXES
        if not (is_document or _has_lines(path)) or not entry.is_file():
            continue
        if is_document or _is_of_contract(path):
            yield path
        else:
            skipped(path)


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
                fields = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UnreadablePath(f"{label}: {_why_no_json(error)}") from error
            try:
                submission = _submission_of(fields, source, label)
            except (TypeError, ValueError) as error:
                reason = f"not a JSON object with the fields of the contract ({error})"
                raise UnreadablePath(f"{label}: {reason}") from error
            yield submission


def _why_no_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not a JSON object with the fields of the contract ({error.msg}, column {error.colno})"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: a byte at position {error.start + 1} of the line"
    if isinstance(error, RecursionError):
        return "its JSON is nested too deeply"
    return "it holds a number with too many digits"


def _submission_of(fields: Any, source: str, label: str) -> Submission:
    """Return the submission in the object of a line. Raises TypeError or ValueError."""
    if not isinstance(fields, dict):
        raise TypeError("it is no object")
    given: dict[str, str] = {}
    for name in ("raw", "raw_base64", *_FIELDS):
        value = fields.pop(name, None)
        if isinstance(value, int) and not isinstance(value, bool) and name == "key":
            value = str(value)  # the number of a row in a crawler's database
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is no text")
        if value is not None:
            given[name] = value
    raw_text, in_base64 = given.pop("raw", None), given.pop("raw_base64", None)
    if raw_text is not None and in_base64 is not None:
        raise ValueError("it has raw and raw_base64: give one of them")
    raw = encoded(raw_text) if raw_text is not None else _decoded(in_base64) if in_base64 is not None else None
    return Submission(raw, label=label, unknown=tuple(fields), **{"source": source, **given})


def _decoded(in_base64: str) -> bytes:
    try:
        # Without spaces: some encoders make lines of 76 characters.
        return base64.b64decode("".join(in_base64.split()), validate=True)
    except ValueError:
        raise ValueError("raw_base64 is not base64") from None


def _utf8(text: str) -> str:
    """Return a file's name with each byte that is not UTF-8 as an escape, so that it can be sent and read."""
    return text.encode("utf-8", "backslashreplace").decode()
