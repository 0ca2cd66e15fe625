"""Commands that are imported when they are called: help and mistakes cost no heavy import.

A group is a table: name -> where the command's function is, and the sentence that the group's help
shows for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F")
HELP_NAMES = {"help_option_names": ["-h", "--help"]}
CODES = (
    "Exit codes: 0 done; 2 wrong usage; 3 the input cannot be used, one sentence says why; 4 done, "
    "but some items failed; 130 interrupted, what was written is valid."
)


@dataclass(frozen=True)
class CommandEntry:
    """A command that is not imported yet. target: "module:function"; help: the first sentence of
    the function's own text; examples: command lines, after the program's name."""

    target: str
    help: str
    examples: tuple[str, ...]

    def epilog(self, program: str) -> str:
        """What stands below the options: examples, and what the exit codes mean."""
        return "\n\n".join(["Examples:", *(f"{program} {words}" for words in self.examples), CODES])


def only_with(**needs: str) -> Callable[[F], F]:
    """Marks a command: an option that is given without the one that it needs is refused, because it
    would do nothing. "!name": it is refused *with* that one."""

    def mark(function: F) -> F:
        function.only_with = needs  # type: ignore[attr-defined]
        return function

    return mark


class OneCommand(TyperCommand):
    """A command that refuses options which would do nothing."""

    needs: ClassVar[Mapping[str, str]] = {}

    def invoke(self, ctx: Any) -> Any:
        """Runs it. Raises InputError."""
        for name, needed in self.needs.items():
            source = ctx.get_parameter_source(name)
            if source is None or source.name != "COMMANDLINE":
                continue
            other, excluded = needed.removeprefix("!"), needed.startswith("!")
            given = ctx.params[other] not in (None, False, [], ())
            if given == excluded:
                spelled = {param.name: param.opts[0] for param in ctx.command.params}
                raise _misplaced(spelled[name], spelled[other], excluded)
        return super().invoke(ctx)


def _misplaced(option: str, flag: str, excluded: bool) -> Exception:
    from irl_vla.types import InputError  # with numpy, which help does without

    why = f"does nothing with {flag}" if excluded else f"does nothing without {flag}"
    return InputError(f"{option}: {why}; leave it out")


@dataclass(frozen=True)
class GroupEntry:
    """A group of commands, such as `irl-vla bag`."""

    help: str
    entries: Mapping[str, CommandEntry]


class LazyGroup(TyperGroup):
    """A group that knows of its commands what its table says, until one is called."""

    program: ClassVar[str] = ""
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
        return name, loaded(self.program, name, self.entries[name]), rest


def lazy_group(program: str, table: Mapping[str, CommandEntry | GroupEntry]) -> type[LazyGroup]:
    """A class of groups with these commands, as `typer.Typer(cls=...)` takes it. program: as it is
    typed, for examples."""
    return type("LazyGroup", (LazyGroup,), {"program": program, "entries": table})


def loaded(program: str, name: str, entry: CommandEntry | GroupEntry) -> Any:
    """The command itself, or the group with its table."""
    if isinstance(entry, GroupEntry):
        return lazy_group(program, entry.entries)(
            name=name, help=entry.help, no_args_is_help=True, context_settings=HELP_NAMES
        )
    module, _, function_name = entry.target.partition(":")
    function = getattr(import_module(module), function_name)
    kind = type("OneCommand", (OneCommand,), {"needs": getattr(function, "only_with", {})})
    single = typer.Typer(add_completion=False)
    single.command(name, cls=kind, epilog=entry.epilog(program), context_settings=HELP_NAMES)(
        function
    )
    return typer.main.get_command(single)
