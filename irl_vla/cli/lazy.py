"""Commands that are imported when they are called: help and mistakes cost no heavy import.

A group is a table: name -> where the command's function is, and the sentence that the group's help
shows for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class CommandEntry:
    """A command that is not imported yet. target: "module:function"; help: the first sentence of
    the function's own text."""

    target: str
    help: str


@dataclass(frozen=True)
class GroupEntry:
    """A group of commands, such as `irl-vla bag`."""

    help: str
    entries: Mapping[str, CommandEntry]


class LazyGroup(TyperGroup):
    """A group that knows of its commands what its table says, until one is called."""

    entries: ClassVar[Mapping[str, CommandEntry | GroupEntry]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Name and sentence of a command, for lists and for suggestions; None: there is none."""
        entry = self.entries.get(cmd_name)
        return None if entry is None else TyperCommand(name=cmd_name, help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, imported now."""
        name, _, rest = super().resolve_command(ctx, args)
        assert name is not None
        return name, loaded(name, self.entries[name]), rest


def lazy_group(table: Mapping[str, CommandEntry | GroupEntry]) -> type[LazyGroup]:
    """A class of groups with these commands, as `typer.Typer(cls=...)` takes it."""
    return type("LazyGroup", (LazyGroup,), {"entries": table})


def loaded(name: str, entry: CommandEntry | GroupEntry) -> Any:
    """The command itself, or the group with its table."""
    if isinstance(entry, GroupEntry):
        return lazy_group(entry.entries)(name=name, help=entry.help, no_args_is_help=True)
    module, _, function = entry.target.partition(":")
    single = typer.Typer(add_completion=False)
    single.command(name)(getattr(import_module(module), function))
    return typer.main.get_command(single)
