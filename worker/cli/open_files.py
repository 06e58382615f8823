"""Checks the limit of open files before a worker starts: with too few it would hang or restart again and again."""

from __future__ import annotations

import resource

from worker.errors import CopydeskError

_FILES = 40
_FILES_OF_PROCESS = 8
"""Measured: a worker's main process has 23 files open, and 6 for each process of its pool."""


class TooFewFiles(CopydeskError):
    """Raised when this process may open fewer files than a worker needs."""


def require_open_files(concurrency: int) -> None:
    """Check that a worker with `concurrency` pool processes may open enough files. Raises TooFewFiles.

    The limit is raised up to the hard limit, which needs no right.
    """
    needed = _FILES + _FILES_OF_PROCESS * concurrency
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _allows(soft, needed):
        return
    if _allows(hard, needed):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        return
    raise TooFewFiles(
        f"only {hard:,} files may be open at once, and a worker with {concurrency:,} pool processes needs {needed:,}: "
        f"raise the limit (ulimit -n {needed}, or LimitNOFILE of systemd)"
    )


def _allows(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed
