"""One drive in the built-in world or in a recorded scenario, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irl_vla.camera.rig import Rig, load_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.closed_loop import ClosedLoop, Tick
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.engine.bundle import Bundle
from irl_vla.resources import resource
from irl_vla.scoring.bench2drive import efficiencies, succeeded
from irl_vla.types import InputError, Plan
from irl_vla.world.benchmark.splits import MOST_SEED
from irl_vla.world.build import EpisodeRequest, simulation_of
from irl_vla.world.infractions import DriveScore
from irl_vla.world.recorded.driver import driven_m, recorded_simulation
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla.world.render.renderer import Quality, Renderer
from irl_vla.world.route_monitor import Ending
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulation import Simulation
from irl_vla.world.situations.situation import situation as situation_of

DEFAULT_RIG = "calibration/rigs/tiny3.yaml"
DEFAULT_ROUTE_M = 200.0  # about half a minute
SHORTEST_M, LONGEST_M = 1.0, 5000.0
LEAST_POLICY_S = 5.0  # a plan is 4 s: who drove less has not shown that it plans
SLOW_M_S = 5.0  # of town traffic: how many steps a route may need


@dataclass(frozen=True)
class DriveRequest:
    """What is to be driven.

    name: for titles; route_m: length, or None: as far as the route goes
    """

    name: str
    simulation: Simulation
    seed: int
    route_m: float | None = None
    quality: Quality = "plain"


@dataclass
class DriveRun:
    """One drive and what came of it."""

    drive: DriveRequest
    loop: ClosedLoop
    rig: Rig
    facts: dict[str, Any]
    ticks: list[Tick] = field(default_factory=list)  # without their pictures

    @staticmethod
    def prepare(drive: DriveRequest, bundle: Bundle, rig: Path | None) -> DriveRun:
        """Everything that can fail fails here, before anything is written."""
        cameras = load_rig(rig or resource(DEFAULT_RIG))
        core = DrivingCore(policy_stack_from_bundle(bundle), cameras, CoreConfig(seed=drive.seed))
        simulation = drive.simulation
        assert simulation.driver is not None
        path = RoutePath.of(simulation.town, simulation.driver.route)
        render = Renderer(
            simulation.town, simulation.others.actors, cameras, drive.seed, drive.quality
        ).render
        loop = ClosedLoop(simulation, path, core, render, drive.route_m, cameras.vehicle)
        manifest = bundle.manifest
        facts = {
            "drive": drive.name, "seed": drive.seed, "town": simulation.town.name,
            "bundle": manifest.name, "bundle_id": bundle.id, "trained": manifest.trained,
            "rig": cameras.name, "cameras": list(cameras.names),
            "route_m": round(loop.monitor.distance_m, 1),
        }  # fmt: skip
        return DriveRun(drive, loop, cameras, facts)

    def go(self) -> Iterator[Tick]:
        """The ticks, each remembered without its pictures."""
        for tick in self.loop.ticks():
            self.ticks.append(tick.without_pictures())
            yield tick

    @property
    def policy_seconds(self) -> float:
        """How long the policy drove; before that the expert did."""
        return round(sum(tick.driving for tick in self.ticks) / 10.0, 1)

    @property
    def judged(self) -> bool:
        """Whether the policy drove long enough for a success to be its own; a fault always is."""
        faulty = self.loop.ending is not Ending.ROUTE_COMPLETED
        return faulty or self.policy_seconds >= LEAST_POLICY_S

    def score(self) -> DriveScore:
        """What it is worth so far."""
        return self.loop.monitor.score(self.drive.name)

    def summary(self, score: DriveScore) -> dict[str, Any]:
        """The numbers of a drive."""
        record, loop = score.record, self.loop
        return {
            "ending": loop.ending.value if loop.ending else "",
            "route_completion": record.route_percent,
            "policy_seconds": self.policy_seconds,
            "judged": self.judged,
            "driving_score": record.composed,
            "success": succeeded(record) and self.judged,
            "efficiency": efficiencies([record])[1],
            "comfort": score.comfort,
            "comfort_published": score.comfort_published,
            "seconds": round(len(self.ticks) / 10.0, 1),
            "plans": sum(isinstance(t.step.outcome, Plan) for t in self.ticks),
            "refusals": sum(not isinstance(t.step.outcome, Plan) for t in self.ticks),
            "infractions": {kind: list(found) for kind, found in record.infractions.items()},
        }


def drive_request(
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
