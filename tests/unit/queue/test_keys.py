"""Names and types of Redis keys are written in one module only, and no lane can have the name of another key."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import worker
from worker.queue import keys
from worker.settings import Settings

SOURCE = Path(worker.__file__).parent
# `settings.py` may not import `keys.py`: it repeats the internal lane, and the prefixes that lanes must not have.
ALLOWED = {SOURCE / "queue" / "keys.py", SOURCE / "settings.py"}


def literals(tree):
    """Return (line, text) of each string in code, including parts of f-strings, without docstrings."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in prose:
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def names_a_key(text):
    return text.startswith(("copydesk:", "once:", "replies:")) and not text.startswith("copydesk: ")


def test_no_other_module_writes_the_name_of_a_key():
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path not in ALLOWED
        for line, text in literals(ast.parse(path.read_text("utf-8")))
        if names_a_key(text)
    ]
    assert not found


@pytest.mark.parametrize("code", ['KEY = "copydesk:x"', 'f"copydesk:x:{lane}"', 'client.get(b"once:a")'])
def test_a_key_name_in_another_module_is_found(code):
    assert any(names_a_key(text) for _, text in literals(ast.parse(f"x = {code.partition(' = ')[2] or code}")))


def test_scripts_get_their_keys_as_arguments():
    for path in (SOURCE / "queue" / "lua").glob("*.lua"):
        assert "'copydesk:" not in path.read_text("utf-8"), path
        assert '"copydesk:' not in path.read_text("utf-8"), path


def names():
    for name, value in vars(keys).items():
        if isinstance(value, str) and name.isupper():
            yield value
        elif inspect.isfunction(value) and value is not keys.types_of_lane:
            yield value(*("1" for _ in inspect.signature(value).parameters))


KINDS = {"Hash": "hash", "Sorted set": "zset", "Stream": "stream", "String": "string"}
SET_ANEW = {"SLOW_DOWN", "STORE_TROUBLE", "slow_down"}  # SET replaces any type
OF_OPERATORS = {"CHANGE_FEED"}  # its name has no prefix: it may belong to another program


def documented_types():
    """Yield (name, type) of each constant that names one key, and of each key of a lane, by their docstrings."""
    body = ast.parse(inspect.getsource(keys)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            name, prose = ast.unparse(node.targets[0]), str(after.value.value)
        elif isinstance(node, ast.FunctionDef) and [argument.arg for argument in node.args.args] == ["lane"]:
            name, prose = node.name, ast.get_docstring(node)
        else:
            continue
        kind = prose.partition(":")[0]
        if kind in KINDS and name not in SET_ANEW | OF_OPERATORS:
            yield name, KINDS[kind]


def test_the_type_of_each_lasting_key_is_listed():
    shared, of_lane = {}, {}
    for name, kind in documented_types():
        key = getattr(keys, name)
        if callable(key):
            of_lane[key("documents")] = kind
        else:
            shared[key] = kind
    assert shared == keys.SHARED_TYPES
    assert of_lane == keys.types_of_lane("documents")


def test_no_two_keys_have_one_name():
    found = list(names())
    assert len(found) > 20
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", sorted(names()))
def test_a_lane_cannot_have_the_name_of_another_key(name):
    with pytest.raises(ValueError, match="not a valid name"):
        Settings(lanes=name)
