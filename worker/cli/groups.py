"""Groups of commands: help that is not truncated, and modules that are imported only when needed."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:  # Typer's copy of click
    from typer._click import Command, Context, HelpFormatter
    from typer._click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """A command in the help of its group."""

    panel: str
    name: str
    summary: str


class Group(TyperGroup):
    """A group whose help shows the whole first sentence of each command, wrapped at the end of the line."""

    def entries(self, ctx: Context) -> Iterator[Entry]:
        """Return the commands in the order of the help."""
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                yield Entry("Commands", name, " ".join((command.help or "").partition("\n\n")[0].split()))

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the commands under their panels."""
        for panel, entries in groupby(self.entries(ctx), key=lambda entry: entry.panel):
            with formatter.section(panel):
                formatter.write_dl([(entry.name, entry.summary) for entry in entries])


class LazyCommands(UserDict[str, "Command"]):
    """Name → command. The module of a command is imported when the command is looked up; before, only its help is there."""

    def __init__(self, table: Iterable[Entry]) -> None:
        super().__init__({entry.name: TyperCommand(entry.name, help=entry.summary) for entry in table})
        self._loaded = set[str]()

    def __getitem__(self, name: str) -> Command:
        if name in self.data and name not in self._loaded:
            loaded = typer.Typer(add_completion=False, rich_markup_mode=None)
            import_module(f"worker.cli.{name}").register(loaded)
            self.data[name] = typer.main.get_group(loaded).commands[name]
            self._loaded.add(name)
        return self.data[name]


class LazyGroup(Group):
    """A group that knows its commands' names and summaries. It imports a command to run it or to show its help."""

    table: Iterable[Entry] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = self._lazy_commands = LazyCommands(self.table)

    def entries(self, ctx: Context) -> Iterator[Entry]:
        """Return the commands in the order of the help."""
        yield from self.table

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        """Return the completions of `incomplete`, with the summaries of commands; imports none of them."""
        group = TyperGroup(name=self.name, commands=self._lazy_commands.data, params=self.params)
        return group.shell_complete(typer.Context(group, info_name=ctx.info_name), incomplete)
