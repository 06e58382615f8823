"""The log calls of the code, read from the source: each with its area, level, message and fields."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from tests.support.servers import ROOT

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
    """None: composed at run time."""
    fields: tuple[str, ...]


def calls(source: str | None = None) -> list[Call]:
    """Return all `log.<level>(…)` of worker/, or of `source`."""
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
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS):
            continue
        said_by = node.func.value
        if isinstance(said_by, ast.Name) and said_by.id in loggers:
            area = loggers[said_by.id]
        elif isinstance(said_by, ast.Call) and _name(said_by.func) == "get_logger":
            area = said_by.args[0].value
        else:
            continue
        fields = tuple(keyword.arg for keyword in node.keywords if keyword.arg)
        found.append(Call(path, node.lineno, area, _LEVELS[node.func.attr], _sentence(node), fields))
    return found


def _sentence(call: ast.Call) -> str | None:
    """Return the message; parts that are composed at run time are `…`."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in first.values)
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
