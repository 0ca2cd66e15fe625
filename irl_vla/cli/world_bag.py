"""`irl-vla world bag`: a drive of the expert as a rosbag2 with cameras, calibration and truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from irl_vla.camera.rig import load_rig
from irl_vla.evaluation.drive_run import DEFAULT_RIG
from irl_vla.evaluation.world_bag import WorldBag
from irl_vla.resources import resource
from irl_vla.scoring.scene import SIM_DT_S
from irl_vla.terminal.console import Console
from irl_vla.terminal.interruption import interruptible
from irl_vla.types import InputError
from irl_vla.world.benchmark.splits import MOST_SEED
from irl_vla.world.build import EpisodeRequest, simulation_of
from irl_vla.world.recorded.driver import recorded_simulation
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulated_sensors import exposures
from irl_vla.world.simulation import Simulation

LONGEST_S = 3600.0


def bag(
    out: Annotated[Path, typer.Argument(help="bag to make: a folder, or one file NAME.mcap")],
    seed: Annotated[
        int | None, typer.Option(help="seed of the world", min=0, max=MOST_SEED)
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(dir_okay=False, help="ScenarioNet file instead of a seed")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="length; default: 20, or the whole scenario")
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(dir_okay=False, help="cameras (YAML); default: tiny3")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="better pictures, at half the speed")
    ] = False,
) -> None:
    """Record the expert's drive (or a recorded driver's): 10 Hz, JPEG pictures, odometry, tf,
    navigation and the ground truth. Opens in `irl-vla replay`, ros2 bag, Foxglove and RViz."""
    simulation, steps = _world(seed, scenario, seconds)
    cameras = load_rig(rig or resource(DEFAULT_RIG))
    assert simulation.driver is not None
    town, actors = simulation.town, simulation.others.actors
    route = RoutePath.of(town, simulation.driver.route)
    render = Renderer(town, actors, cameras, seed or 0, "full" if full else "plain").render
    with (
        interruptible() as pressed,
        WorldBag(out, cameras, town, actors, route, seed or 0) as writer,
    ):
        ticks = track(range(steps), "recording", console=Console(stderr=True), transient=True)
        for tick in ticks:
            writer.write(simulation.moment, exposures(simulation.moment, render))
            if tick + 1 < steps:
                simulation.step()
            if pressed.is_set():
                break
    what = f"rosbag2, {(tick + 1) * SIM_DT_S:g} s, {len(cameras.cameras)} cameras"
    Console().print(f"wrote     {out}  ({what})", highlight=False, soft_wrap=True)
    if pressed.is_set():
        raise typer.Exit(130)


def _world(
    seed: int | None, scenario: Path | None, seconds: float | None
) -> tuple[Simulation, int]:
    """The world at its beginning, and how many moments are wanted. Raises InputError."""
    if (seed is None) == (scenario is None):
        raise InputError("give either --seed N or --scenario FILE")
    if seconds is not None and not SIM_DT_S <= seconds <= LONGEST_S:
        raise InputError(f"--seconds: expected {SIM_DT_S:g} to {LONGEST_S:g}, got {seconds:g}")
    if scenario is None:
        assert seed is not None
        steps = round((seconds or 20.0) / SIM_DT_S)
        return simulation_of(seed, EpisodeRequest(steps=steps)), steps
    episode = load_scenario(scenario)
    wanted = len(episode) if seconds is None else round(seconds / SIM_DT_S)
    if wanted > len(episode):
        raise InputError(
            f"{scenario}: has {len(episode) * SIM_DT_S:.1f} s, --seconds asks for {seconds:g}"
        )
    return recorded_simulation(episode), wanted
