"""Every command's help: a sentence, an example that would be understood, and `--json` where it reads."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest
import typer

from tests.servers import ROOT
from worker.cli.app import app

# These act, serve or are followed by eye; what they say is no data.
ACTING = {
    "ingest",
    "up",
    "worker",
    "submit",
    "retract",
    "dead edit",
    "dead discard",
    "db upgrade",
    "db prune",
    "lane repair",
    "metrics",
    "console",
    "schema export",
}


def _walk(command, path=()):
    for name, inner in getattr(command, "commands", {}).items():
        if hasattr(inner, "commands"):
            yield from _walk(inner, (*path, name))
        else:
            yield " ".join((*path, name)), inner


COMMANDS = dict(_walk(typer.main.get_command(app)))


def _options(command):
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_says_what_it_does_with_an_example(name):
    command = COMMANDS[name]
    assert command.help
    assert command.help.strip()[0].isupper()
    assert command.epilog, f"{name} has no example"
    assert command.epilog.startswith(f"Example: copydesk {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_its_example_is_understood(name):
    given = shlex.split(COMMANDS[name].epilog.removeprefix("Example: copydesk "))[len(name.split()) :]
    COMMANDS[name].make_context(name, given, resilient_parsing=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_is_described(name):
    silent = [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", "x")]
    # The number of a dead letter says what it is by its name.
    assert set(silent) <= {"id_"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - ACTING))
def test_what_reads_speaks_json(name):
    assert "--json" in _options(COMMANDS[name]), f"{name} reads; it needs --json, or a place in ACTING"


def test_acting_commands_exist():
    assert set(COMMANDS) >= ACTING


def test_completion_names_the_commands():
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_COPYDESK_COMPLETE": "complete_bash",
        "COMP_WORDS": "copydesk s",
        "COMP_CWORD": "1",
    }
    run = subprocess.run([sys.executable, "-c", "import sys; sys.argv = ['copydesk']; from worker.cli.main import main; main()"], env=environment, capture_output=True, text=True,
                         check=False, timeout=120)  # fmt: skip
    assert {"status", "sources", "submit"} <= set(run.stdout.split()), run.stdout + run.stderr
