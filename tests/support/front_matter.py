"""The front matter of a document as JSON: as a YAML 1.2 reader (core schema) gives it, or all scalars as text."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml


class CoreLoader(yaml.CSafeLoader):
    """Reads the scalars of YAML 1.2's core schema. Times and words such as `No` are text."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


class TextLoader(yaml.CSafeLoader):
    """Reads every scalar as text, except an empty one and `null`."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _loader, _kinds in (
    (TextLoader, ("null",)),
    (CoreLoader, ("null", "bool", "int", "float")),
):
    for _kind in _kinds:
        _pattern, _first = {
            "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
            "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
            "int": (r"[-+]?[0-9]+", list("-+0123456789")),
            "float": (r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
        }[_kind]
        _loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), _first)


def _integer(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


CoreLoader.add_constructor("tag:yaml.org,2002:int", _integer)


def front_matter(raw: bytes, loader: type[yaml.CSafeLoader] = CoreLoader) -> Any:
    """Return the front matter of a document. Raises yaml.YAMLError or ValueError if it has none that can be read."""
    text = raw.decode("utf-8").removeprefix("\ufeff")
    match = re.match(r"---[ \t]*\r?\n(.*?\n)?---[ \t]*(?:\r?\n|$)", text, re.DOTALL)
    if match is None:
        raise ValueError("there is no front matter")
    return yaml.load(match[1] or "", Loader=loader)
