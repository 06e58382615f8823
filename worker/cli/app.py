"""`copydesk`: the table of its commands, and the exit codes of failures."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from worker import interrupts
from worker.cli.exits import print_message
from worker.cli.groups import Entry, LazyGroup
from worker.errors import Exit
from worker.telemetry.terminal import escape_output

_CRAWLERS, _OPERATORS, _READERS, _SERVERS = "For crawlers", "For operators", "For readers", "Servers and the store"
COMMANDS = (
    Entry(_CRAWLERS, "ingest", "Send documents and wait for the outcomes; starts servers if needed."),
    Entry(_CRAWLERS, "check", "Check documents offline, and say what to repair."),
    Entry(_CRAWLERS, "submit", "Push documents to a lane, and print their receipt ids."),
    Entry(_CRAWLERS, "retract", "Retract the documents that have a key or show a URL."),
    Entry(_CRAWLERS, "schema", "Export the contract with crawlers."),
    Entry(_OPERATORS, "status", "Show lanes, workers, servers and outcomes, once or live."),
    Entry(_OPERATORS, "health", "Say whether documents are processed, and if not, why."),
    Entry(_OPERATORS, "tail", "Follow the outcomes of documents as they happen."),
    Entry(_OPERATORS, "explain", "Show what became of a document, and what to do next."),
    Entry(_OPERATORS, "times", "Show where time goes, and which stage became slow, and when."),
    Entry(_OPERATORS, "find", "Find documents by words, a URL, a key or a receipt id."),
    Entry(_OPERATORS, "sources", "Show what each source sends, and what is missing or rejected."),
    Entry(_OPERATORS, "missing", "Show which URLs of a list never came or were rejected."),
    Entry(_OPERATORS, "losses", "Show where the documents of each site went."),
    Entry(_OPERATORS, "dead", "List, edit, replay and discard dead letters."),
    Entry(_OPERATORS, "lane", "List, pause, resume and repair lanes."),
    Entry(_OPERATORS, "reprocess", "Run stored documents through the current pipeline."),
    Entry(_OPERATORS, "relink", "Compute the links and stories of articles again."),
    Entry(_OPERATORS, "actions", "Show who paused, replayed, discarded or stopped what, and why."),
    Entry(_OPERATORS, "user", "Manage the console's users and their roles."),
    Entry(_OPERATORS, "audit", "Check that every entry has an outcome or still waits."),
    Entry(_READERS, "stories", "Show the newest stories, each with its articles."),
    Entry(_READERS, "similar", "Rank the articles that are most similar to an article."),
    Entry(_SERVERS, "up", "Serve on this machine with Valkey and SQLite built in."),
    Entry(_SERVERS, "worker", "Serve the lanes in production, one worker on each host."),
    Entry(_SERVERS, "console", "Serve the web console for operators."),
    Entry(_SERVERS, "metrics", "Serve the metrics of all workers to Prometheus."),
    Entry(_SERVERS, "db", "Upgrade, check, index and prune the store."),
)
"""All commands as `copydesk --help` shows them.

`worker/cli/NAME.py` has the command; its help begins with the same sentence.
"""


class _Commands(LazyGroup):
    table = COMMANDS


app = typer.Typer(
    name="copydesk",
    cls=_Commands,
    help="Ingest news documents from a Redis Stream: validate, enrich, link and store them.",
    epilog="Start with: copydesk ingest schemas/examples/valid",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"copydesk {metadata.version('copydesk')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


_LOGGING = ("worker", "console")
"""Commands that report unknown settings in their log."""


def _name_unknown_settings(arguments: list[str]) -> None:
    if arguments[:1] not in [[name] for name in _LOGGING] and "_COPYDESK_COMPLETE" not in os.environ:
        from worker.settings import unknown_settings

        for sentence in unknown_settings(os.environ):
            print_message(f"copydesk: {sentence}")


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run a command. Raises SystemExit with one of `Exit`."""
    escape_output()
    if any("\0" in argument for argument in (sys.argv[1:] if arguments is None else arguments)):
        print_message("copydesk: an argument has a NUL character; remove it")
        sys.exit(Exit.USAGE)
    _name_unknown_settings(sys.argv[1:] if arguments is None else arguments)
    try:
        code: int | None = app(args=arguments, standalone_mode=False)
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
