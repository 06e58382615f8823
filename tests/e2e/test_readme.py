"""Every command of the README and of the pages that continue it is run: here in order, in a fresh copy, or by the test
that
the table `ELSEWHERE` names.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.commands import COMMANDS, SOCKET, write_program
from tests.support.servers import ROOT, environment, processes_naming

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "worker/deploy/OPERATING.md")}
"""The pages whose blocks are run, in this order: a later page uses what an earlier one has started."""
LINKING_PAGES = {
    name: (ROOT / name).read_text("utf-8") for name in (*PAGES, "worker/deploy/PROMISES.md", "tests/README.md")
}
WORDS_OF_THE_README = 1_200

INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/copydesk ingest schemas/examples/valid"
UP = "copydesk up"

ELSEWHERE = {
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest": ".ci/run",
    "copydesk console": "tests/e2e/test_console.py::test_the_keyboard_alone_mends_a_dead_letter",
    "export COPYDESK_REDIS_URL=redis://:password@redis.internal:6379/0":
        "tests/e2e/test_ingest.py::test_configured_servers_are_used_each_alone_too",
    "export COPYDESK_DATABASE_URL=postgresql://copydesk:password@postgres.internal/copydesk":
        "tests/e2e/test_ingest.py::test_configured_servers_are_used_each_alone_too",
    "copydesk db upgrade":
        "tests/integration/test_compose.py::test_migrate_and_worker_do_their_work_with_their_own_commands",
    "copydesk worker --concurrency 4":
        "tests/integration/test_compose.py::test_migrate_and_worker_do_their_work_with_their_own_commands",
    "celery -A worker.runtime.app worker --concurrency 4":
        "tests/e2e/test_up.py::test_the_worker_runs_as_celery_users_start_it",
    "cp .env.example .env": "tests/integration/test_compose.py::test_the_compose_file_has_no_secret_and_allows_no_empty_one",
    "docker compose up --build --detach --scale worker=2": "tests/integration/test_compose.py::test_the_compose_file_follows_the_specification",
}  # fmt: skip


def blocks() -> list[tuple[str, str]]:
    """Return (language, text) of each block, page by page."""
    pattern = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [block for page in PAGES.values() for block in pattern.findall(page)]


def commands(text: str) -> list[str]:
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in text.replace("\\\n", "").splitlines()]
    return [line.removeprefix("$ ") for line in lines if line and not line.startswith("#")]


def test_every_block_has_a_language_that_is_run():
    assert {kind for kind, _ in blocks()} <= {"sh", "python", "text"}
    assert not any("\n    $ " in page for page in PAGES.values())


def test_the_readme_is_short():
    assert len(PAGES["README.md"].split()) <= WORDS_OF_THE_README


def test_every_block_that_is_run_elsewhere_is_run_there():
    mentioned = [command for kind, text in blocks() if kind == "sh" for command in commands(text)]
    assert set(ELSEWHERE) <= set(mentioned), "the table names a command that is on no page"
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        text = (ROOT / path).read_text("utf-8")
        assert f"def {name}(" in text if name else "bin/pytest" in text


def test_the_first_two_commands_are_each_one_line():
    found = [text.strip() for kind, text in blocks() if kind == "sh"]
    assert found[0] == INSTALL
    assert found[1].endswith("&& .venv/bin/pytest")
    assert "\n" not in found[0] + found[1]


@pytest.mark.parametrize("name", LINKING_PAGES)
def test_every_link_leads_to_a_file(name):
    for target in re.findall(r"\]\(([^)#]+)", LINKING_PAGES[name]):
        assert target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists(), target


def test_the_commands_for_tests_and_measurements_name_what_exists():
    """They take minutes to hours, so they are not run here."""
    text = "\n".join(LINKING_PAGES.values())
    modules = set(re.findall(r"python -m ([\w.]+)", text))
    paths = set(re.findall(r"pytest (?:-m long )?(tests/[\w/.]+)", text))
    assert {"tests.faults.soak", "tests.benchmarks"} <= modules
    assert [module for module in modules if find_spec(module) is None] == []
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.fixture
def clone():
    """A copy of the project's files in a folder whose path is short enough for a socket, with the tools that a new user
    may lack.
    """
    folder = Path(tempfile.mkdtemp(prefix="cd-readme-"))
    kept = ("worker", "schemas", "tests", ".ci", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml",
            "docker-compose.yml", ".env.example")  # fmt: skip
    for name in kept:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / "clone").mkdir(exist_ok=True)
            shutil.copy(source, folder / "clone" / name)
    _shim(folder / "bin" / "redis-cli", _REDIS_CLI)
    _shim(folder / "bin" / "sqlite3", _SQLITE3)
    (folder / "quick").mkdir()
    write_program(folder / "quick" / "copydesk")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _shim(path: Path, program: str) -> None:
    """Use the tool of this machine if it is installed; else a stand-in that accepts the same arguments."""
    path.parent.mkdir(exist_ok=True)
    if shutil.which(path.name) is None:
        _program(path, program)


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


_VENV = f"""#!/bin/sh -e
"{sys.executable}" "$@" --without-pip
printf '#!%s\\nfrom pip._internal.cli.main import main\\nraise SystemExit(main())\\n' "$PWD/.venv/bin/python" > .venv/bin/pip
chmod +x .venv/bin/pip
"""
"""`python3 -m venv .venv` without a new pip, whose installation takes five seconds of CPU."""


_REDIS_CLI = """
import redis, sys
assert sys.argv[1] == "-s"
arguments = sys.argv[3:]
if arguments[0] == "-x":
    arguments = [*arguments[1:], sys.stdin.buffer.read()]
print(redis.Redis(unix_socket_path=sys.argv[2]).execute_command(*arguments).decode())
"""
_SQLITE3 = """
import sqlite3, sys
for row in sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(sys.argv[2]):
    print(*row, sep="|")
"""


def _link_dependencies(clone: Path) -> str:
    """Link what `pip install .` installs, and nothing of the extras, from the environment of the tests; return the
    folder. With them pip itself, if the tests have one.
    """
    folder = clone / "dependencies"
    folder.mkdir()
    waiting, known = [Requirement("copydesk")], set()
    while waiting:
        wanted = waiting.pop()
        found = distribution(wanted.name)
        extras = ("", *wanted.extras)
        for requirement in map(Requirement, found.requires or ()):
            marker = requirement.marker
            if str(requirement) not in known and (marker is None or any(marker.evaluate({"extra": e}) for e in extras)):
                known.add(str(requirement))
                waiting.append(requirement)
        if wanted.name != "copydesk":
            for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
                if not (folder / name).exists():
                    (folder / name).symlink_to(str(found.locate_file(name)))
            for script in found.entry_points.select(group="console_scripts"):
                program = clone / "bin" / script.name
                program.write_text(
                    f"#!{clone / 'clone/.venv/bin/python'}\n"
                    f"import sys\nfrom {script.module} import {script.attr}\nsys.exit({script.attr}())\n"
                )
                program.chmod(0o755)
    if pip := find_spec("pip"):
        (folder / "pip").symlink_to(Path(str(pip.origin)).parent)
        (clone / "bin" / "python3").write_text(_VENV)
        (clone / "bin" / "python3").chmod(0o755)
    return str(folder)


def different_files(installed: Path) -> list[str]:
    """Return the files of the packages that pip did not install as they are here."""
    files = [path.relative_to(ROOT) for name in ("worker", "schemas") for path in (ROOT / name).rglob("*")
             if path.is_file() and "__pycache__" not in path.parts]  # fmt: skip
    assert len(files) > 300
    return [str(file) for file in files
            if not (installed / file).exists() or (installed / file).read_bytes() != (ROOT / file).read_bytes()]  # fmt: skip


@pytest.mark.timeout(400)
@pytest.mark.parametrize("dependencies", ["linked", pytest.param("downloaded", marks=pytest.mark.long)])
def test_the_commands_of_the_readme_work_from_top_to_bottom(dependencies, clone):
    """`linked`: pip finds the dependencies, and no others, instead of installing them, which takes a minute of CPU; the pip
    is that of the tests.

    The first commands and `up` are those that pip installed. The later ones are forks, see `write_program`.
    """
    settings = environment(PATH=f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}")
    del settings["PYTHONPATH"], settings["COPYDESK_LINK"]
    if dependencies == "linked":
        settings["PYTHONPATH"] = _link_dependencies(clone)
    settings[SOCKET] = COMMANDS.socket()
    settings["EDITOR"] = f"cp {clone / 'clone/schemas/examples/valid/market-hall-with-body.md'}"
    settings.pop("VIRTUAL_ENV", None)
    settings["PIP_COMPILE"] = "0"  # compiling every module of every dependency takes longer than the commands
    folder, up, output, python = clone / "clone", None, "", []

    def run(arguments: list[str], given: str | None = None) -> str:
        ended = subprocess.run(arguments, cwd=folder, env=settings, input=given or "", capture_output=True, text=True,
                               timeout=300, check=False)  # fmt: skip
        expected = 1 if "examples/invalid" in arguments[-1] else 0
        assert ended.returncode == expected, f"{shlex.join(arguments)}\n{given or ''}\n{ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    try:
        for kind, text in blocks():
            if kind == "python":
                # Later blocks use the result of earlier ones, as on the page.
                python.append(text)
                output = run([".venv/bin/python", "-"], "".join(python))
            for command in commands(text) if kind == "sh" else ():
                if command in ELSEWHERE:
                    continue
                if command.startswith("export PATH="):
                    (installed,) = folder.glob(".venv/lib/python*/site-packages")
                    assert different_files(installed) == []
                    programs = (str(clone / "quick"), str(folder / ".venv/bin"), settings["PATH"])
                    settings["PATH"] = os.pathsep.join(programs)
                elif command == UP:
                    up = subprocess.Popen([".venv/bin/copydesk", "up"], cwd=folder, env=settings, stdin=subprocess.DEVNULL,
                                          stderr=subprocess.PIPE, start_new_session=True, text=True)  # fmt: skip
                    assert "serves the lanes" in next(line for line in up.stderr if "serves" in line)
                else:
                    output = run(["bash", "-c", command])
                    if command == INSTALL:
                        count = len([file for file in (folder / "schemas/examples/valid").rglob("*") if file.is_file()])
                        assert re.search(rf"all\W+{count}\b", output), output
                        again = run([str(clone / "quick/copydesk"), "ingest", "schemas/examples/valid"])
                        assert re.search(rf"unchanged\W+{count}\b", again), again
                    if command.startswith("sqlite3"):
                        assert output.strip(), f"no rows: {command}"
    finally:
        if up is not None:
            up.send_signal(signal.SIGINT)
            up.communicate(timeout=60)
    assert up is not None
    assert up.returncode == 0
    assert processes_naming(str(folder)) == []
