"""Every exception that a user can see derives from one root, which defines the exit code of the command."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

import worker
from worker.cli.failures import explain_failure
from worker.errors import CopydeskError, Exit

SOURCE = Path(worker.__file__).parent
# These are caught where they are raised or in the calling module: no user sees their message.
INTERNAL = {
    "HttpError",
    "NoLongerLeader",
    "Stop",
    "ChangedDocument",
    "UnreadableMessage",
}
CODES = {
    "AlreadyRunning": Exit.USAGE,
    "Busy": Exit.USAGE,
    "ChangeFailed": Exit.USAGE,
    "DeadLetterChanged": Exit.USAGE,
    "EmbeddedServerError": Exit.UNREACHABLE,
    "ForeignDatabase": Exit.UNSOUND,
    "ServersNotStarted": Exit.UNREACHABLE,
    "PortTaken": Exit.USAGE,
    "RelinkingStalled": Exit.TIMED_OUT,
    "ReprocessStalled": Exit.TIMED_OUT,
    "ServerUnfit": Exit.UNSOUND,
    "SubmissionUnsure": Exit.UNREACHABLE,
    "TooFewFiles": Exit.USAGE,
    "UnreadableList": Exit.USAGE,
    "UnreadablePath": Exit.USAGE,
    "UnsafeConsole": Exit.USAGE,
    "UnsafeFolder": Exit.USAGE,
    "UsersError": Exit.USAGE,
}


@functools.cache
def exceptions_by_base():
    """Return (base, name, module) of each class in the source whose base is named like an exception."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                name = ast.unparse(base).rpartition(".")[2]
                if name.endswith(("Error", "Exception")):
                    module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
                    found.append((name, node.name, module))
    return found


def test_every_exception_has_the_root_or_is_internal():
    other = {name for base, name, _ in exceptions_by_base() if base != "CopydeskError"}
    assert other - {"CopydeskError"} == INTERNAL


def test_each_exception_has_its_exit_code():
    found = {
        name: getattr(__import__(module, fromlist=[name]), name).exit_code
        for base, name, module in exceptions_by_base()
        if base == "CopydeskError"
    }
    assert found == CODES


@pytest.mark.parametrize("code", Exit)
def test_a_command_prints_the_message_and_ends_with_the_code_of_the_class(capsys, code):
    class Broken(CopydeskError):
        exit_code = code

    assert explain_failure(Broken("the door is locked: find the key of redis://:hunter2@host")) == code
    message = capsys.readouterr().err
    assert message.startswith("copydesk: the door is locked")
    assert "Traceback" not in message
    assert "hunter2" not in message


def test_an_exception_of_a_library_is_recognised_by_class_and_not_by_name(capsys):
    class ValidationError(Exception):
        """Has the name of pydantic's exception, and is a bug."""

    class ServersNotStarted(Exception):
        """Has the name of one of our exceptions, and is a bug."""

    for bug in (ValidationError("x"), ServersNotStarted("x")):
        with pytest.raises(type(bug)) as raised:
            raise bug
        assert explain_failure(raised.value) == Exit.REJECTED
        assert "Traceback" in capsys.readouterr().err


def test_a_derived_exception_of_a_library_is_recognised(capsys):
    import redis

    class Ours(redis.ConnectionError):
        pass

    assert explain_failure(Ours("no route")) == Exit.UNREACHABLE
    assert "Traceback" not in capsys.readouterr().err
