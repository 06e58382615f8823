"""Counts the documents of the command line, with a progress bar: a large `.jsonl` file takes seconds to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from worker.cli.exits import print_message
from worker.cli.progress import progress
from worker.cli.terminal import plain
from worker.producer.input_files import count_documents


def count_with_progress(paths: Sequence[str]) -> int | None:
    """Return the result of `count_documents`, and say which files were skipped. Raises UnreadablePath."""
    skipped: list[Path] = []
    with progress(None, "documents found") as advance:
        count = count_documents(paths, advance, skipped=skipped.append)
    print_skipped(skipped)
    return count


def print_skipped(skipped: Sequence[Path]) -> None:
    """Say how many files of a folder were skipped, if any."""
    if skipped:
        files = "1 .jsonl file was" if len(skipped) == 1 else f"{len(skipped):,} .jsonl files were"
        print_message(
            f"{files} skipped, because the first line is no document of the contract: {plain(str(skipped[0]))}"
            + (" and others" if len(skipped) > 1 else "")
        )
