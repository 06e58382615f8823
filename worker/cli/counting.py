"""Counts the documents of the command line, with a progress bar: a large `.jsonl` file takes seconds to read."""

from __future__ import annotations

from collections.abc import Sequence

from worker.cli.progress import progress
from worker.producer.input_files import count_documents


def count_with_progress(paths: Sequence[str]) -> int | None:
    """Return the result of `count_documents`. Raises UnreadablePath."""
    with progress(None, "documents found") as advance:
        return count_documents(paths, advance)
