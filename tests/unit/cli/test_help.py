"""Every command's help: a sentence, an example that parses, and `--json` for commands that read."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.support import servers
from tests.support.servers import ROOT
from worker.cli.app import COMMANDS as ENTRIES
from worker.cli.app import app

# These act, serve or are watched by a person; their output is not data.
ACTING = {
    "ingest",
    "up",
    "worker",
    "submit",
    "retract",
    "dead edit",
    "dead discard",
    "db upgrade",
    "db index",
    "db prune",
    "lane repair",
    "user remove",
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
def test_each_help_has_a_sentence_and_an_example(name):
    command = COMMANDS[name]
    assert command.help
    assert command.help.strip()[0].isupper()
    assert command.epilog, f"{name} has no example"
    assert command.epilog.startswith(f"Example: copydesk {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_is_parsed(name):
    given = shlex.split(COMMANDS[name].epilog.removeprefix("Example: copydesk "))[len(name.split()) :]
    COMMANDS[name].make_context(name, given, resilient_parsing=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_is_described(name):
    silent = [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", "x")]
    # The number of a dead letter is explained by its name.
    assert set(silent) <= {"id_"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - ACTING))
def test_each_reading_command_has_json(name):
    assert "--json" in _options(COMMANDS[name]), f"{name} reads; it needs --json, or a place in ACTING"


def test_acting_commands_exist():
    assert set(COMMANDS) >= ACTING


def copydesk(*arguments, **settings):
    return servers.copydesk(*arguments, cwd=ROOT, **{"COLUMNS": "80", **settings})


def copydesk_and_modules(*arguments, **settings):
    """Run `copydesk` in a new interpreter; returns the run, and the modules of commands that it loaded."""
    script = (
        "import atexit, sys; sys.argv = ['copydesk', *sys.argv[1:]]; "
        f"atexit.register(lambda: {_PRINT_LOADED}); from worker.cli.main import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **settings}
    run = subprocess.run([sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True,
                         check=False, timeout=120)  # fmt: skip
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("LOADED")]
    return run, {name.split(".")[2] for name in line.split() if name.startswith("worker.cli.")} - CHEAP


_PRINT_LOADED = "print('LOADED', *[name for name in sys.modules if name.startswith('worker.')], file=sys.stderr)"
CHEAP = {"main", "app", "exits", "groups"}


def completion(words):
    return {
        "_COPYDESK_COMPLETE": "complete_bash",
        "COMP_WORDS": f"copydesk {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }


def test_completion_names_the_commands_and_loads_none():
    run, loaded = copydesk_and_modules(**completion("s"))
    assert set(run.stdout.split()) == {"status", "sources", "submit", "stories", "similar", "schema"}, run.stderr
    assert loaded == set()


def test_completion_names_the_options_of_the_program():
    assert "--version" in copydesk(**completion("--v")).stdout.split()


@pytest.mark.parametrize(("words", "expected"), [
    ("status --w", {"--watch", "--wait-drained"}), ("lane re", {"resume", "repair"}), ("dead mend --rep", {"--replace"}),
])  # fmt: skip
def test_completion_knows_the_options_and_commands_of_a_command(words, expected):
    assert set(copydesk(**completion(words)).stdout.split()) == expected


def test_the_help_shows_each_command_with_its_whole_summary_in_80_columns_and_loads_none():
    run, loaded = copydesk_and_modules("--help")
    assert run.returncode == 0, run.stderr
    lines = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    for entry in ENTRIES:
        assert [entry.name, entry.summary] in lines
        assert f"{entry.panel}:" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "…" not in run.stdout
    assert "..." not in run.stdout.replace("[ARGS]...", "")
    assert loaded == set()


def test_a_narrow_terminal_wraps_the_summaries_and_cuts_none():
    message = " ".join(copydesk("--help", COLUMNS="45").stdout.split())
    for entry in ENTRIES:
        assert f"{entry.name} {entry.summary}" in message


@pytest.mark.parametrize("group", sorted({name.split()[0] for name in COMMANDS if " " in name}))
def test_the_help_of_a_group_shows_the_whole_first_sentence_of_its_commands(group):
    message = " ".join(copydesk(group, "--help").stdout.split())
    for name, command in COMMANDS.items():
        if name.startswith(f"{group} "):
            assert f"{name.split()[1]} {' '.join(command.help.partition(chr(10) * 2)[0].split())}" in message


def test_only_the_command_that_is_called_is_loaded():
    run, loaded = copydesk_and_modules("check", "--help")
    assert run.returncode == 0, run.stderr
    assert loaded == {"check", "counting", "options", "progress", "terminal"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_help_begins_with_the_summary_of_the_command(entry):
    assert typer.main.get_command(app).commands[entry.name].help.startswith(entry.summary)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_paragraph_of_each_help_is_one_short_sentence(name):
    first = COMMANDS[name].help.partition("\n\n")[0]
    assert first.endswith(".")
    assert len(first) <= 75


def test_the_version_is_that_of_the_package():
    from importlib import metadata

    run = copydesk("--version")
    assert (run.returncode, run.stdout) == (0, f"copydesk {metadata.version('copydesk')}\n")


@pytest.mark.parametrize(
    ("words", "meant"), [("sttus", "status"), ("reproces", "reprocess"), ("lane pase", "pause"), ("dead ls", "list")]
)
def test_a_misspelt_command_is_answered_with_the_nearest(words, meant):
    run = copydesk(*words.split())
    assert run.returncode == 2
    assert f"'{meant}'" in run.stderr


# Each has its reason at the import: signals first, a probe that must answer within 3 s, memory of pool processes, an
# extra that may be missing, or a code path that is seldom used.
IMPORTS_INSIDE = {
    "main": 3,
    "app": 2,
    "status": 11,
    "audit": 4,
    "local_stack": 3,
    "worker": 5,
    "console": 1,
    "failures": 5,
    "progress": 2,
    "recording": 1,
    "submit": 1,
}


def test_modules_of_commands_import_at_their_top():
    found = {}
    for path in sorted((Path(ROOT) / "worker" / "cli").glob("*.py")):
        functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
        inside = {
            node.lineno
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        if inside:
            found[path.stem] = len(inside)
    assert set(found) <= set(IMPORTS_INSIDE)
    assert all(count <= IMPORTS_INSIDE[name] for name, count in found.items()), found
    assert sum(found.values()) < 40
