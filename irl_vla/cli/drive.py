"""`irl-vla drive`: a policy drives the built-in world, or a recorded scenario, in closed loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from irl_vla.cli.drive_film import RESULTS, film, too_short
from irl_vla.cli.drive_suite import run_suite
from irl_vla.cli.results import Results
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.drive_run import DEFAULT_RIG, DriveRequest, DriveRun, drive_request
from irl_vla.evaluation.drive_suite import SEEDS, Suite
from irl_vla.resources import resource
from irl_vla.terminal.console import Console
from irl_vla.terminal.lazy import only_with
from irl_vla.types import InputError
from irl_vla.view.legend import banner_of
from irl_vla.world.render.renderer import Quality

Bundle = Annotated[Path, typer.Option(help="policy bundle, for example models/rule")]
Seed = Annotated[int | None, typer.Option(help="seed of the town, its traffic and route")]
Scenario = Annotated[
    Path | None, typer.Option(dir_okay=False, help="ScenarioNet file to drive in instead of a seed")
]
RouteLength = Annotated[
    float | None, typer.Option(help="metres; default: 200, in a scenario as far as was driven")
]
RigFile = Annotated[
    Path | None, typer.Option(dir_okay=False, help="cameras (YAML); default: tiny3")
]
Full = Annotated[bool, typer.Option("--full", help="better pictures, at half the speed")]
BagFolder = Annotated[Path | None, typer.Option(help="also record what the cameras saw (rosbag2)")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--situation", help="named situation: with --seed this one; with --suite only these"
    ),
]
WholeSuite = Annotated[
    bool, typer.Option("--suite", help="every named situation, many seeds each, as a table")
]
Seeds = Annotated[
    str | None, typer.Option(help=f"for --suite: A:B, the seeds A to B - 1; default: {SEEDS}")
]
Jobs = Annotated[int, typer.Option(min=1, help="for --suite: number of processes")]
WithExpert = Annotated[
    bool, typer.Option("--with-expert", help="for --suite: also drive the expert, as reference")
]
Out = Annotated[Path | None, typer.Option(help="folder for the results; default: out/drive/NAME")]


@only_with(
    seeds="suite", with_expert="suite", jobs="suite", seed="!suite", scenario="!suite",
    route_length="!suite", bag="!suite",
)  # fmt: skip
def drive(
    bundle: Bundle, seed: Seed = None, scenario: Scenario = None, route_length: RouteLength = None,
    rig: RigFile = None, full: Full = False, bag: BagFolder = None, situation: Names = None,
    suite: WholeSuite = False, seeds: Seeds = None, jobs: Jobs = 1,
    with_expert: WithExpert = False, out: Out = None,
) -> None:  # fmt: skip
    """Drive a policy to the end of a route in closed loop; write an animation, a report and
    Bench2Drive's measures. The same seed and bundle give the same drive."""
    names = situation or []
    if suite:
        quality: Quality = "full" if full else "plain"
        wanted = Suite.planned(
            bundle, rig or resource(DEFAULT_RIG), quality, names,
            SEEDS if seeds is None else seeds, with_expert,
        )  # fmt: skip
        raise typer.Exit(run_suite(wanted, out or Path("out") / "drive" / "suite", jobs))
    if len(names) > 1:
        raise InputError("--situation: expected one, or --suite to drive several")
    _film(bundle, drive_request(seed, scenario, route_length, full, *names), rig, bag, out)


def _film(
    bundle: Path, wanted: DriveRequest, rig: Path | None, bag: Path | None, out: Path | None
) -> None:
    """One drive with everything that comes of it."""
    folder = out or Path("out") / "drive" / wanted.name
    loaded = load_bundle(bundle)
    run = DriveRun.prepare(wanted, loaded, rig)
    manifest = loaded.manifest
    banner = banner_of(manifest.kind, manifest.trained, manifest.training_run)
    with Results(folder, RESULTS) as results:
        interrupted = film(run, results.folder, banner, bag)
        summary = json.loads((results.folder / "summary.json").read_text(encoding="utf-8"))
    say(summary, folder, interrupted)
    if bag is not None:
        Console().print(f"wrote     {bag}", highlight=False, soft_wrap=True)
    if interrupted:
        raise typer.Exit(130)


def say(summary: dict[str, Any], folder: Path, interrupted: bool) -> None:
    """The drive in a few lines."""
    console = Console()

    def line(label: str, text: str, style: str = "") -> None:
        console.print(
            f"{label:9s} {text}", style=style, markup=False, highlight=False, soft_wrap=True
        )

    if interrupted:
        line("stopped", "interrupted; the results are valid up to that point", "yellow")
    line(
        "drove",
        f"{summary['route_completion']:.0f} % of {summary['route_m']:.0f} m in "
        f"{summary['seconds']:.0f} s, the policy {summary['policy_seconds']:g} s of it: "
        f"{summary['ending']}",
    )
    for kind, found in summary["infractions"].items():
        if kind != "min_speed_infractions":
            for text in found:
                line("wrong", f"{kind.replace('_', ' ')}: {text}", "yellow")
    if not summary["judged"]:
        line("score", too_short(summary), "yellow")
    else:
        line(
            "score",
            f"driving score {summary['driving_score']:.1f}, efficiency "
            f"{summary['efficiency']:.0f} %, comfort {100 * summary['comfort']:.0f} %",
        )
    _say_written(folder)


def _say_written(folder: Path) -> None:
    for name in RESULTS:
        if (folder / name).exists():
            Console().print(f"{'wrote':9s} {folder / name}", soft_wrap=True)
