"""`irl-vla drive`: a policy drives the built-in world, or a recorded scenario, in closed loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from irl_vla.cli.drive_run import DEFAULT_RIG, RESULTS, DriveRequest, DriveRun
from irl_vla.cli.drive_suite import SEEDS, Suite, run_suite
from irl_vla.cli.results import Results
from irl_vla.engine.bundle import load_bundle
from irl_vla.shipped import shipped
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import MOST_SEED
from irl_vla.world.build import EpisodeRequest, simulation_of
from irl_vla.world.recorded.driver import driven_m, recorded_simulation
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla.world.render.renderer import Quality
from irl_vla.world.situations.situation import situation as situation_of

DEFAULT_ROUTE_M = 200.0  # about half a minute
SHORTEST_M, LONGEST_M = 1.0, 5000.0
SLOW_M_S = 5.0  # of town traffic: how many steps a route may need


Bundle = Annotated[Path, typer.Option(help="policy bundle, for example models/rule")]
Seed = Annotated[int | None, typer.Option(help="of the town, its traffic and route")]
Scenario = Annotated[
    Path | None, typer.Option(dir_okay=False, help="ScenarioNet file: drive there instead")
]
RouteLength = Annotated[
    float | None, typer.Option(help="metres; default: 200, or what was driven in a scenario")
]
RigFile = Annotated[
    Path | None, typer.Option(dir_okay=False, help="cameras (YAML); default: tiny3")
]
Full = Annotated[bool, typer.Option("--full", help="prettier pictures, half as fast")]
BagFolder = Annotated[Path | None, typer.Option(help="also record what the cameras saw (rosbag2)")]
Names = Annotated[
    list[str] | None,
    typer.Option("--situation", help="with --seed: drive it; with --suite: only these"),
]
WholeSuite = Annotated[
    bool, typer.Option("--suite", help="every named situation, many seeds each, as a table")
]
Seeds = Annotated[
    str | None, typer.Option(help=f"of --suite: A:B, the seeds A to B - 1; default: {SEEDS}")
]
Jobs = Annotated[int, typer.Option(min=1, help="processes of --suite")]
WithExpert = Annotated[
    bool, typer.Option("--with-expert", help="--suite: the expert, who sees everything, too")
]
Out = Annotated[Path | None, typer.Option(help="folder for the results; default: out/drive/NAME")]


def drive(
    bundle: Bundle, seed: Seed = None, scenario: Scenario = None, route_length: RouteLength = None,
    rig: RigFile = None, full: Full = False, bag: BagFolder = None, situation: Names = None,
    suite: WholeSuite = False, seeds: Seeds = None, jobs: Jobs = 1,
    with_expert: WithExpert = False, out: Out = None,
) -> None:  # fmt: skip
    """Drive until the route ends: animation, report and Bench2Drive's measures. The same seed and
    bundle give the same drive."""
    names = situation or []
    if suite:
        _refuse({"--seed": seed, "--scenario": scenario, "--route-length": route_length,
                 "--bag": bag}, "one drive, not for --suite")  # fmt: skip
        quality: Quality = "full" if full else "plain"
        wanted = Suite.planned(
            bundle, rig or shipped(DEFAULT_RIG), quality, names, seeds or SEEDS, with_expert
        )
        raise typer.Exit(run_suite(wanted, out or Path("out") / "drive" / "suite", jobs))
    _refuse({"--seeds": seeds, "--with-expert": with_expert or None}, "--suite")
    if len(names) > 1:
        raise InputError("--situation: expected one, or --suite to drive several")
    _film(bundle, planned(seed, scenario, route_length, full, *names), rig, bag, out)


def _refuse(options: dict[str, object], where: str) -> None:
    """Raises InputError for options that were given where they mean nothing."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"{name}: is for {where}; leave it out")


def _film(
    bundle: Path, wanted: DriveRequest, rig: Path | None, bag: Path | None, out: Path | None
) -> None:
    """One drive with everything that comes of it."""
    folder = out or Path("out") / "drive" / wanted.name
    run = DriveRun.prepare(wanted, load_bundle(bundle), rig)
    with Results(folder, RESULTS) as results:
        interrupted = run.film(results.folder, bag)
        summary = json.loads((results.folder / "summary.json").read_text(encoding="utf-8"))
    say(summary, folder, interrupted)
    if bag is not None:
        Console().print(f"wrote     {bag}", highlight=False, soft_wrap=True)
    if interrupted:
        raise typer.Exit(130)


def planned(
    seed: int | None, scenario: Path | None, route_m: float | None, full: bool = False,
    name: str | None = None,
) -> DriveRequest:  # fmt: skip
    """What was asked for. name: of a situation. Raises InputError."""
    if (seed is None) == (scenario is None):
        raise InputError("give either --seed N or --scenario FILE")
    if scenario is not None and name is not None:
        raise InputError("--situation: is for --seed, not for --scenario; leave it out")
    if route_m is not None and not SHORTEST_M <= route_m <= LONGEST_M:
        raise InputError(
            f"--route-length: expected {SHORTEST_M:g} to {LONGEST_M:g} metres, got {route_m:g}"
        )
    quality: Quality = "full" if full else "plain"
    if scenario is not None:
        episode = load_scenario(scenario)
        if route_m is None and (recorded := driven_m(episode)) >= SHORTEST_M:
            route_m = recorded  # who stood all the time says nothing about where to stop
        return DriveRequest(scenario.stem, recorded_simulation(episode), 0, route_m, quality)
    assert seed is not None
    if not 0 <= seed <= MOST_SEED:
        raise InputError(f"--seed: expected 0 to {MOST_SEED}, got {seed}")
    if name is not None:
        found = situation_of(name, seed)
        return DriveRequest(
            f"{name}-{seed}", found.simulation, seed, route_m or found.route_m, quality
        )
    length = DEFAULT_ROUTE_M if route_m is None else route_m
    request = EpisodeRequest(steps=round(length / SLOW_M_S * 10.0))
    return DriveRequest(f"world-{seed}", simulation_of(seed, request), seed, length, quality)


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
