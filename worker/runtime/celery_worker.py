"""The Celery worker of this process."""

from __future__ import annotations

from celery.utils.nodenames import host_format


def serve(name: str, concurrency: int) -> int:
    """Run a Celery node until it is stopped; returns its exit code. `name` may hold `%h` and `%n`, as everywhere in Celery."""
    from worker.runtime.app import app  # reads the settings when it is imported

    app.set_current()
    # Not by Celery's own command line, whose shell and its prompt would be 8 MB in every pool process.
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
