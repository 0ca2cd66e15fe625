"""`irl-vla`: the list of commands, and what the exit codes mean.

0 done · 2 wrong usage · 3 the input cannot be used (one sentence says why) ·
4 done, but some items failed (they are listed) · 130 interrupted (what was written is valid)
"""

from __future__ import annotations

import signal
import sys

import typer
from rich.console import Console

from irl_vla import __version__
from irl_vla.cli.bag import bag_app
from irl_vla.cli.bench import bench
from irl_vla.cli.demo import demo
from irl_vla.cli.drive import drive
from irl_vla.cli.explain import explain
from irl_vla.cli.export import export
from irl_vla.cli.replay import replay
from irl_vla.cli.score import score
from irl_vla.cli.show import show
from irl_vla.cli.world import world_app
from irl_vla.types import InputError

EXIT_INPUT = 3

app = typer.Typer(
    help="A driving policy that sees, reasons and acts: look at recordings, replay, score.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(show)
app.command()(replay)
app.command()(drive)
app.command()(demo)
app.command()(score)
app.command()(explain)
app.command()(export)
app.command()(bench)
app.add_typer(bag_app, name="bag")
app.add_typer(world_app, name="world")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"irl-vla {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="print the version and stop"
    ),
) -> None:
    """Options before the command."""


def main() -> None:
    """Run a command; bad input ends with one sentence and exit code 3."""
    # Python leaves Ctrl-C ignored where a script put the command into the background; who sends it
    # there means this command.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except InputError as error:
        Console(stderr=True, emoji=False).print(
            f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(EXIT_INPUT)


if __name__ == "__main__":
    main()
