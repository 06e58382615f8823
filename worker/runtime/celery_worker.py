"""Runs a Celery worker in this process."""

from __future__ import annotations

from celery.utils.nodenames import host_format


def serve(name: str, concurrency: int) -> int:
    """Run a Celery node until it is stopped; return its exit code. `name` may contain Celery's `%h` and `%n`."""
    from worker.runtime.app import app  # here, because the import reads the settings

    app.set_current()
    # Celery's own command line is not used: its shell and prompt cost 8 MB in every pool process.
    node = app.Worker(
        hostname=host_format(name),
        concurrency=concurrency,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    try:
        node.start()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return int(node.exitcode or 0)


__all__ = ["serve"]
