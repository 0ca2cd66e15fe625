"""`irl-vla-train`: the list of the lab's commands. They are imported when called: help costs no
torch.
"""

from __future__ import annotations

import typer

from irl_vla.terminal.entry import run
from irl_vla.terminal.lazy import CODES, HELP_NAMES, CommandEntry, lazy_group

PROGRAM = "irl-vla-train"
COMMANDS = {
    "prepare": CommandEntry(
        "irl_vla_training.samples.command:prepare_command",
        "Make training samples: pictures of varied rigs with all the truth about them.",
        (
            "prepare --seeds 1000000:1001000 --out out/samples/tiny --jobs 2",
            "prepare recordings/monday --source bag --out out/samples/monday",
        ),
    ),
    "perceive": CommandEntry(
        "irl_vla_training.perception.command:perceive_command",
        "Train the eyes: the networks from pictures to scene tokens.",
        ("perceive --recipe tiny --data out/samples/tiny --out out/runs/tiny",),
    ),
    "evaluate": CommandEntry(
        "irl_vla_training.evaluate.command:evaluate_command",
        "How well trained networks see, on scenes that nobody trained on.",
        (
            "evaluate --eyes --run out/runs/tiny --split world-dev --out out/evaluation/dev",
            "evaluate --eyes --bundle models/tiny --red-set --out out/evaluation/red",
        ),
    ),
    "ship": CommandEntry(
        "irl_vla_training.ship:ship_command",
        "Export a run's weights as a bundle.",
        ("ship --run out/runs/tiny --out models/mine",),
    ),
}

app = typer.Typer(
    cls=lazy_group(PROGRAM, COMMANDS), help="Train the policy: samples, stages, evaluation.",
    no_args_is_help=True, context_settings=HELP_NAMES, epilog=CODES,
    pretty_exceptions_enable=False,
)  # fmt: skip


@app.callback()
def _root() -> None:
    """Options before the command: none."""


def main() -> None:
    """Run a command; bad input ends with one sentence and exit code 3."""
    run(app)


if __name__ == "__main__":
    main()
