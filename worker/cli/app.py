"""`copydesk`: one file a command; here they come together, with the exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import typer

from worker import interrupts
from worker.cli.exits import say
from worker.errors import Exit
from worker.observe.terminal import guard_output

app = typer.Typer(
    name="copydesk",
    help="Takes raw copy from crawlers, checks it, completes it, ties it to other stories and stores it.",
    epilog="Start with: copydesk ingest schemas/examples/valid",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS = (
    "ingest",
    "up",
    "worker",
    "submit",
    "check",
    "status",
    "tail",
    "sources",
    "explain",
    "stories",
    "similar",
    "dead",
    "retract",
    "lane",
    "repair",
    "reprocess",
    "audit",
    "health",
    "db",
    "metrics",
    "console",
    "schema",
)
for _name in _COMMANDS:
    import_module(f"worker.cli.{_name}").register(app)


_LOGGING = ("worker", "console")
"""Commands that name unknown settings in their log."""


def _name_unknown_settings(arguments: list[str]) -> None:
    if arguments[:1] not in [[name] for name in _LOGGING] and "_COPYDESK_COMPLETE" not in os.environ:
        from worker.settings import unknown_settings

        for sentence in unknown_settings(os.environ):
            say(f"copydesk: {sentence}")


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run a command. Raises SystemExit with one of `Exit`."""
    guard_output()
    if any("\0" in argument for argument in (sys.argv[1:] if arguments is None else arguments)):
        say("copydesk: an argument holds a NUL character, which no text here may have")
        sys.exit(Exit.USAGE)
    _name_unknown_settings(sys.argv[1:] if arguments is None else arguments)
    try:
        code: Any = app(args=arguments, standalone_mode=False)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = Exit.OK
    except Exception as error:  # noqa: BLE001  the last place: every failure becomes a sentence and a code
        if interrupts.was_received():  # SQLite, for example, reports an interrupt as an error
            sys.exit(Exit.INTERRUPTED)
        from worker.cli.failures import explain_failure

        code = explain_failure(error)
    sys.exit(int(code or 0))
