"""`irl-vla-train`: the lab's commands.

0 done · 2 wrong usage · 3 the input cannot be used (one sentence says why) ·
130 interrupted (what was written is valid)
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

EXIT_INPUT, EXIT_INTERRUPTED = 3, 130
COMMANDS = {  # name -> where it is, and the sentence that help shows; imported when called
    "prepare": (
        "irl_vla_training.samples.command:prepare_command",
        "Make training samples: pictures of varied rigs with all the truth about them.",
    ),
    "perceive": (
        "irl_vla_training.perception.command:perceive_command",
        "Train the eyes: the networks from pictures to scene tokens.",
    ),
    "evaluate": (
        "irl_vla_training.evaluate.command:evaluate_command",
        "How well trained networks see, on scenes that nobody trained on.",
    ),
    "ship": ("irl_vla_training.ship:ship_command", "Export a run's weights as a bundle."),
}


class _Commands(TyperGroup):
    """Commands that are imported when they are called: help costs no torch."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """For lists and suggestions."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(name=cmd_name, help=entry[1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, imported now."""
        name, _, rest = super().resolve_command(ctx, args)
        assert name is not None
        module, _, function = COMMANDS[name][0].partition(":")
        single = typer.Typer(add_completion=False)
        single.command(name)(getattr(import_module(module), function))
        return name, typer.main.get_command(single), rest


app = typer.Typer(
    cls=_Commands, help="Train the policy: samples, stages, evaluation.", no_args_is_help=True,
    add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip


@app.callback()
def _root() -> None:
    """Options before the command: none."""


def main() -> None:
    """Run a command; bad input ends with one sentence and exit code 3."""
    # Ctrl-C is ignored where a script put the command into the background: it means this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except ValueError as error:
        from irl_vla.types import InputError

        if not isinstance(error, InputError):
            raise
        from rich.console import Console

        Console(stderr=True, emoji=False).print(
            f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(EXIT_INPUT)


if __name__ == "__main__":
    main()
