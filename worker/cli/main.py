"""The entry point of the program: it sets signal handlers first, then imports everything else."""

from __future__ import annotations

import gc
import os
import signal
import sys

_GARBAGE_OBJECTS = 50_000
_SERVICES = ("up", "worker")
_OK, _INTERRUPTED = 0, 130


def main() -> None:
    """Run the command of `sys.argv` and end this process with its exit code.

    For a service a signal is a normal end: 0.
    """
    is_service = len(sys.argv) > 1 and sys.argv[1] in _SERVICES
    interrupted = _OK if is_service else _INTERRUPTED
    # Exiting at once is safe: imports start nothing that would stay. An exception inside an import would be printed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(interrupted))
    # Imports create many objects and hardly any garbage: a worker starts with a seventh less CPU.
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 20)
    from worker import interrupts
    from worker.cli.app import run
    from worker.cli.exits import leave, leave_unflushed

    if not is_service:  # services have handlers of their own, and a worker forks
        interrupts.end_in_time(lambda: leave_unflushed(interrupted))
    code = interrupted
    try:
        try:
            interrupts.raise_on_first_signal()
            run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            interrupts.finish()
    except KeyboardInterrupt:
        code = interrupted
    except Exception:
        # Python 3.11 makes a RuntimeError of a KeyboardInterrupt in `__set_name__`, so while a class is imported.
        if not interrupts.was_received():
            raise
    leave(interrupted if interrupts.was_received() else code)


if __name__ == "__main__":
    main()
