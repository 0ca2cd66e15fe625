"""`irl-vla`: the list of commands, and what the exit codes mean.

0 done · 2 wrong usage · 3 the input cannot be used (one sentence says why) ·
4 done, but some items failed (they are listed) · 130 interrupted (what was written is valid)
"""

from __future__ import annotations

import typer

from irl_vla import __version__
from irl_vla.terminal.entry import run
from irl_vla.terminal.lazy import CODES, HELP_NAMES, CommandEntry, GroupEntry, lazy_group

BAG = {
    "info": CommandEntry(
        "irl_vla.cli.bag:info",
        "List topics with counts, rates and gaps, what is damaged, and what a replay would lack.",
        ("bag info recordings/monday", "bag info monday.mcap --topics topics.yaml"),
    ),
}
WORLD = {
    "scenes": CommandEntry(
        "irl_vla.cli.world:scenes",
        "Write scoring scenes, one file per seed.",
        ("world scenes --split world-dev --out out/dev", "world scenes --seeds 0:50 --out out/own"),
    ),
    "table": CommandEntry(
        "irl_vla.cli.world:table",
        "Score expert, PDM-Closed, constant velocity, standing still and the `rule` policy on a "
        "split.",
        (
            "world table --split world-dev --out out/dev",
            "world table --seeds 0:20 --bundle models/mine --rig my_rig.yaml --out out/mine",
        ),
    ),
    "bag": CommandEntry(
        "irl_vla.cli.world_bag:bag",
        "Record the expert's drive (or a recorded driver's): 10 Hz, JPEG pictures, odometry, tf, "
        "navigation and the ground truth.",
        ("world bag out/town --seed 7", "world bag town.mcap --seed 7 --seconds 60 --full"),
    ),
    "statistics": CommandEntry(
        "irl_vla.cli.world_statistics:statistics",
        "Compare the built-in world with recorded ones: histograms of motion, how much they "
        "differ, and where plans lose points.",
        ("world statistics scenarios/*.pkl --seeds 0:30 --out out/statistics",),
    ),
}
COMMANDS: dict[str, CommandEntry | GroupEntry] = {
    "show": CommandEntry(
        "irl_vla.cli.show:show",
        "Draw a recording: cameras with ground grid and boxes, timing, ego motion, calibration, "
        "or, for the built-in world and for scenarios, the town and the drive from above.",
        ("show recordings/monday", "show world:7 --animate", "show scenes.json.gz --scene ID"),
    ),
    "replay": CommandEntry(
        "irl_vla.cli.replay:replay",
        "Run a policy over a recording: plans, pictures, latency, refusals.",
        (
            "replay recordings/monday --bundle models/rule",
            "replay out/town --bundle models/mine --follow out/drive/plans.mcap",
        ),
    ),
    "drive": CommandEntry(
        "irl_vla.cli.drive:drive",
        "Drive a policy to the end of a route in closed loop; write an animation, a report and "
        "Bench2Drive's measures.",
        (
            "drive --bundle models/rule --seed 37",
            "drive --bundle models/mine --suite --seeds 0:10 --jobs 4 --with-expert",
        ),
    ),
    "demo": CommandEntry(
        "irl_vla.cli.demo:demo",
        "Drive the `rule` policy through a town; write an animation and a report for offline use.",
        ("demo --out out/demo", "demo --seed 5 --route-length 300"),
    ),
    "score": CommandEntry(
        "irl_vla.cli.score:score",
        "Score driving as the NAVSIM v2 benchmark does, to the last digit.",
        (
            "score scenes.json.gz --proposals plans.npz --out out/results.json",
            "score --navsim data --split navtest --agent bundle:models/mine --out out/navtest",
        ),
    ),
    "explain": CommandEntry(
        "irl_vla.cli.explain:explain",
        "Report which agent or area cost which point, and when, and draw it.",
        ("explain scenes.json.gz", "explain scenes.json.gz --scene ID --trajectory plan.npz"),
    ),
    "export": CommandEntry(
        "irl_vla.cli.export:export",
        "Export untrained networks as ONNX graphs, each compared with torch.",
        ("export --preset tiny --seed 0 --out models/tiny-untrained",),
    ),
    "bench": CommandEntry(
        "irl_vla.cli.bench:bench",
        "Measure the latency of each graph on random scenes; the last line printed is one JSON "
        "object.",
        ("bench models/tiny-untrained --threads 2",),
    ),
    "bag": GroupEntry("Inspect recordings.", BAG),
    "world": GroupEntry("The built-in world: scenes, tables, bags.", WORLD),
}

app = typer.Typer(
    cls=lazy_group("irl-vla", COMMANDS),
    help="A camera-only driving policy: look at recordings, replay them, drive in a built-in world "
    "and score plans.",
    no_args_is_help=True,
    context_settings=HELP_NAMES,
    epilog=CODES,
    pretty_exceptions_enable=False,
)


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
    run(app)


if __name__ == "__main__":
    main()
