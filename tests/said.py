"""What the code writes to the log, read from the source: each call with its area, level, sentence and fields."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from tests.servers import ROOT

_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "error",
}


@dataclass(frozen=True)
class Call:
    path: str
    line: int
    area: str
    level: str
    event: str | None
    """None: made at run time."""
    fields: tuple[str, ...]


def calls(source: str | None = None) -> list[Call]:
    """All `log.<level>(…)` of worker/, or of `source`."""
    if source is not None:
        return _calls_of("source", source)
    found = []
    for path in sorted((ROOT / "worker").rglob("*.py")):
        found += _calls_of(str(path.relative_to(ROOT)), path.read_text("utf-8"))
    return found


def _calls_of(path: str, source: str) -> list[Call]:
    tree = ast.parse(source)
    loggers = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _name(node.value.func) == "get_logger":
            loggers[node.targets[0].id] = node.value.args[0].value
    return [
        Call(path, node.lineno, loggers[node.func.value.id], _LEVELS[node.func.attr], _sentence(node),
             tuple(keyword.arg for keyword in node.keywords if keyword.arg))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS
        and isinstance(node.func.value, ast.Name) and node.func.value.id in loggers
    ]  # fmt: skip


def _sentence(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
