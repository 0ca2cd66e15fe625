"""`irl-vla drive`: a policy drives the built-in world, or a recorded scenario, in closed loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from irl_vla.cli.drive_run import RESULTS, Drive, DriveRun
from irl_vla.cli.results import Results
from irl_vla.engine.bundle import load_bundle
from irl_vla.types import InputError
from irl_vla.world.build import EpisodeRequest, simulation_of
from irl_vla.world.recorded_driver import recorded_simulation
from irl_vla.world.render import Quality
from irl_vla.world.scenarionet import load_scenario

DEFAULT_ROUTE_M = 200.0  # about half a minute
LONGEST_M = 5000.0
SLOW_M_S = 5.0  # of town traffic: how many steps a route may need


def drive(
    bundle: Annotated[Path, typer.Option(help="policy bundle, for example models/rule")],
    seed: Annotated[int | None, typer.Option(help="of the town, its traffic and route")] = None,
    scenario: Annotated[
        Path | None, typer.Option(dir_okay=False, help="ScenarioNet file: drive there instead")
    ] = None,
    route_length: Annotated[
        float | None, typer.Option(help="metres; default: 200, or all of a scenario")
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(dir_okay=False, help="cameras (YAML); default: tiny3")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="prettier pictures, half as fast")] = False,
    bag: Annotated[
        Path | None, typer.Option(help="also record what the cameras saw (rosbag2)")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for the results; default: out/drive/NAME")
    ] = None,
) -> None:
    """Drive until the route ends: animation, report and Bench2Drive's measures. The same seed and
    bundle give the same drive."""
    loaded = load_bundle(bundle)
    wanted = planned(seed, scenario, route_length, full)
    folder = out or Path("out") / "drive" / wanted.name
    run = DriveRun.prepare(wanted, loaded, rig)
    with Results(folder, RESULTS) as results:
        interrupted = run.film(results.folder, bag)
        summary = json.loads((results.folder / "summary.json").read_text(encoding="utf-8"))
    say(summary, folder, interrupted)
    if bag is not None:
        Console().print(f"wrote     {bag}", highlight=False, soft_wrap=True)
    if interrupted:
        raise typer.Exit(130)


def planned(
    seed: int | None, scenario: Path | None, route_m: float | None, full: bool = False
) -> Drive:
    """What was asked for. Raises InputError."""
    if (seed is None) == (scenario is None):
        raise InputError("give either --seed N or --scenario FILE")
    if route_m is not None and not 0.0 < route_m <= LONGEST_M:
        raise InputError(
            f"--route-length: expected metres, more than 0 and at most {LONGEST_M:g}, got {route_m}"
        )
    quality: Quality = "full" if full else "plain"
    if scenario is not None:
        episode = load_scenario(scenario)
        return Drive(scenario.stem, recorded_simulation(episode), 0, route_m, quality)
    assert seed is not None
    if seed < 0:
        raise InputError(f"--seed: expected 0 or more, got {seed}")
    length = DEFAULT_ROUTE_M if route_m is None else route_m
    request = EpisodeRequest(steps=round(length / SLOW_M_S * 10.0))
    return Drive(f"world-{seed}", simulation_of(seed, request), seed, length, quality)


def say(summary: dict[str, Any], folder: Path, interrupted: bool) -> None:
    """The drive in a few lines."""
    console = Console()

    def line(label: str, text: str, style: str = "") -> None:
        console.print(
            f"{label:9s} {text}", style=style, markup=False, highlight=False, soft_wrap=True
        )

    if interrupted:
        line("stopped", "interrupted; the results are valid up to there", "yellow")
    line(
        "drove",
        f"{summary['route_completion']:.0f} % of {summary['route_m']:.0f} m in "
        f"{summary['seconds']:.0f} s: {summary['ending']}",
    )
    for kind, found in summary["infractions"].items():
        if kind != "min_speed_infractions":
            for text in found:
                line("wrong", f"{kind.replace('_', ' ')}: {text}", "yellow")
    line(
        "score",
        f"driving score {summary['driving_score']:.1f}, efficiency {summary['efficiency']:.0f} %, "
        f"comfort {100 * summary['comfort']:.0f} %",
    )
    for name in RESULTS:
        if (folder / name).exists():
            line("wrote", str(folder / name))
