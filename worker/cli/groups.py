"""Groups of commands: help that is not truncated, and modules that are imported only when needed."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import groupby
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Entry(NamedTuple):
    """A command in the help of its group."""

    panel: str
    name: str
    summary: str


class Group(TyperGroup):
    """A group whose help shows the whole first sentence of each command, wrapped at the end of the line."""

    def entries(self, ctx: Any) -> Iterator[Entry]:
        """Return the commands in the order of the help."""
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                yield Entry("Commands", name, " ".join((command.help or "").partition("\n\n")[0].split()))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands under their panels."""
        for panel, entries in groupby(self.entries(ctx), key=lambda entry: entry.panel):
            with formatter.section(panel):
                formatter.write_dl([(entry.name, entry.summary) for entry in entries])


class LazyCommands(UserDict[str, Any]):
    """Name → command. The module of a command is imported when the command is looked up."""

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            loaded = typer.Typer(add_completion=False, rich_markup_mode=None)
            import_module(f"worker.cli.{name}").register(loaded)
            self.data[name] = typer.main.get_group(loaded).commands[name]
        return self.data[name]

    def get(self, name: str, default: Any = None) -> Any:  # Python 3.11's `get` does not call __getitem__
        """Return the command, or `default` if there is none of this name."""
        return self[name] if name in self.data else default


class LazyGroup(Group):
    """A group that knows its commands' names and summaries. It imports a command to run it or to show its help."""

    table: Iterable[Entry] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands(dict.fromkeys(entry.name for entry in self.table))

    def entries(self, ctx: Any) -> Iterator[Entry]:
        """Return the commands in the order of the help."""
        yield from self.table

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the completions of `incomplete`, with the summaries of commands; imports none of them."""
        named: Mapping[str, Any] = {entry.name: TyperCommand(entry.name, help=entry.summary) for entry in self.table}
        known = TyperGroup(name=self.name, commands=dict(named), params=self.params)
        return known.shell_complete(typer.Context(known, info_name=ctx.info_name), incomplete)
