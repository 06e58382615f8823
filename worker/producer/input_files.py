"""Reads paths of the command line as submissions: files, folders, `-` for stdin, and `.jsonl` files of the contract."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.errors import CopydeskError
from worker.producer.submission import Submission

SUFFIXES = frozenset({".md", ".markdown", ".txt"})
_FIELDS = ("source", "key", "op", "reply_to", "traceparent")


class UnreadablePath(CopydeskError):
    """Raised when a given path cannot be read, or a line of a `.jsonl` file does not follow the contract."""


def read_paths(paths: Sequence[str], *, source: str) -> Iterator[Submission]:
    """Yield one submission for each document in `paths`.

    The key of a file is its path relative to the given folder, or its name if the file itself was given. Raises
    UnreadablePath.
    """
    for name in paths:
        if name == "-":
            yield Submission(sys.stdin.buffer.read(), source=source, label="-")
            continue
        path = Path(name)
        try:
            if path.is_dir():
                for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
                    relative = str(file.relative_to(path))
                    yield Submission(file.read_bytes(), source=source, key=_utf8(relative), label=_utf8(str(file)))
            elif path.suffix.lower() == ".jsonl":
                yield from _read_lines(path, source)
            else:
                yield Submission(path.read_bytes(), source=source, key=_utf8(path.name), label=_utf8(str(path)))
        except OSError as error:
            raise UnreadablePath(f"{name}: {error.strerror or error}") from error


def _read_lines(path: Path, source: str) -> Iterator[Submission]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            label = f"{path}:{number}"
            try:
                fields = json.loads(line)
                raw = (
                    base64.b64decode(fields["raw_base64"]) if "raw_base64" in fields else fields.get("raw", "").encode()
                )
                given: dict[str, Any] = {name: str(fields[name]) for name in _FIELDS if fields.get(name) is not None}
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise UnreadablePath(f"{label}: not a JSON object with the fields of the contract ({error})") from error
            yield replace(Submission(raw, source=source, label=label), **given)


def _utf8(text: str) -> str:
    """Return a file's name with each byte that is not UTF-8 as an escape, so that it can be sent and read."""
    return text.encode("utf-8", "backslashreplace").decode()
