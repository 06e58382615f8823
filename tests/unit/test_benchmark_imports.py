"""The benchmarks use names that exist. Most of them run only by hand, so nobody would notice a name that is gone."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").rglob("*.py"))


def is_there(module: str, name: str) -> bool:
    loaded = importlib.import_module(module)
    is_package = hasattr(loaded, "__path__")
    return hasattr(loaded, name) or (is_package and importlib.util.find_spec(f"{module}.{name}") is not None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_that_a_benchmark_imports_from_the_project_exists(path):
    imports = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("worker", "schemas")
        for alias in node.names
    ]
    assert [f"{module}.{name}" for module, name in imports if not is_there(module, name)] == []


def test_a_name_that_is_gone_is_found():
    assert is_there("worker.store", "tables")
    assert not is_there("worker.store.tables", "nothing_of_this_name")
