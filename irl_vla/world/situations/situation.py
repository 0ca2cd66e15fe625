"""Named situations: something that a driver must handle, a few seconds after the drive begins.

    found = situation("lead_brakes", seed)
    found.simulation                     the expert at the wheel, the clock at 0
    found.route_m                        where along its route the situation is over
Towns are drawn until one has a place that fits; there the ego, the road users who play a part and
their cues are put. All of it follows from the name and the seed; whether the expert gets through is
not looked at. May import: config, frames, scoring.footprint, types, scoring.scene, world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely

from irl_vla.config import named
from irl_vla.frames import box_corners, wrap_angle
from irl_vla.scoring.footprint import footprint
from irl_vla.scoring.scene import VX
from irl_vla.types import F64, InputError
from irl_vla.vehicle import Vehicle
from irl_vla.world.driver.expert import Expert
from irl_vla.world.roads.build import build_town
from irl_vla.world.roads.town_request import TownRequest
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulation import Simulation
from irl_vla.world.situations import flows, lanes, setups
from irl_vla.world.situations.scripted_traffic import ScriptedTraffic
from irl_vla.world.situations.setups import SituationSetup
from irl_vla.world.town import Town
from irl_vla.world.traffic.traffic import TrafficRequest

VERSION = "situations/1"  # changes whenever a name and seed mean another situation
SUITE_SEED, DRIVER_SEED = 9011, 7
TOWN_SEEDS = (2**30, 2**31 - 1)  # towns of the suite: no split of the benchmark has them
TRIES = 80  # towns looked at
ROOM_M = 0.3  # [m] around the ego when it begins
AFTER_M = 80.0  # [m] of route kept beyond the end, so that nobody stops for the route's end


@dataclass(frozen=True)
class Situation:
    """One of them, ready to be driven. route_m: [m] from where the ego stands."""

    name: str
    seed: int
    simulation: Simulation
    route_m: float


class SituationKind(NamedTuple):
    """What a situation is made of. setup: a place in a town and what happens there, or None."""

    setup: Callable[[Town, np.random.Generator], SituationSetup | None]
    town: TownRequest
    traffic: TrafficRequest = TrafficRequest(
        vehicles=14, cyclists=1, people=8, spare=20, parked=0.6, events=0.0
    )


def _town(
    parking: float = 0.6, lights: float = 0.75, lanes: tuple[int, int] = (2, 2),
    main_roads: tuple[int, int] = (2, 3), limits_kmh: tuple[float, ...] = (30, 40, 50, 60),
) -> TownRequest:  # fmt: skip
    """Towns with long straight streets, where nothing else is out of the ordinary."""
    return TownRequest(
        columns=(3, 3), rows=(2, 3), block_m=(190.0, 250.0), lanes=lanes, main_roads=main_roads,
        missing=0.0, parking=parking, lights=lights, roundabouts=0.0, crosswalks=0.0,
        work_zones=(0, 0), speed_limits_kmh=limits_kmh,
    )  # fmt: skip


KINDS = {  # a new one goes to the end: its place is part of what a seed means
    "lead_brakes": SituationKind(setups.lead_brakes, _town(limits_kmh=(40, 50, 60))),
    "red_light": SituationKind(setups.red_light, _town(lights=1.0)),
    "pedestrian_steps_out": SituationKind(
        setups.pedestrian_steps_out, _town(parking=1.0, main_roads=(0, 1)),
        TrafficRequest(vehicles=10, cyclists=0, people=6, spare=14, parked=0.85, events=0.0),
    ),
    "lane_blocked": SituationKind(lanes.lane_blocked, _town(lanes=(2, 3))),
    "cut_in": SituationKind(lanes.cut_in, _town(lanes=(2, 3), limits_kmh=(40, 50, 60))),
    "unprotected_turn": SituationKind(
        flows.unprotected_turn, _town(lanes=(1, 2), lights=0.5),
        TrafficRequest(vehicles=9, cyclists=0, people=6, spare=16, parked=0.6, events=0.0),
    ),
    "merge": SituationKind(flows.merge, _town(limits_kmh=(30, 40, 50))),
}  # fmt: skip
NAMES = tuple(KINDS)


def situation(name: str, seed: int) -> Situation:
    """The situation of a name and a seed >= 0. Raises InputError for others."""
    kind, number = named(KINDS, name, "situation"), list(KINDS).index(name)
    if seed < 0:
        raise InputError(f"situation: seed: expected 0 or more, got {seed}")
    rng = np.random.default_rng([seed, number, SUITE_SEED])
    for _ in range(TRIES):
        town = build_town(int(rng.integers(*TOWN_SEEDS)), kind.town)
        setup = kind.setup(town, rng)
        simulation = _simulation_of(setup, kind, int(rng.integers(2**31))) if setup else None
        if setup and simulation:
            return Situation(name, seed, simulation, setup.route_m)
    raise InputError(f"situation '{name}' {seed}: no place for it in {TRIES} towns")


def _simulation_of(setup: SituationSetup, kind: SituationKind, seed: int) -> Simulation | None:
    """The setup with everybody in place, or None where something lacks room."""
    route = _cut(setup)
    if route is None:
        return None
    expert = Expert(setup.town, route, seed * 8 + DRIVER_SEED)
    ego = _ego(expert, setup.s)
    traffic = ScriptedTraffic(
        setup.town, seed, ego[:3], float(ego[VX]), route, kind.traffic, Vehicle()
    )
    if not setup.dress(traffic, expert, float(ego[VX])):
        return None
    simulation = Simulation(setup.town, traffic, expert, ego)
    return simulation if _apart(simulation) else None


def _apart(simulation: Simulation) -> bool:
    """Whether no two road users overlap at the start, and the ego has some room."""
    moment, sizes = simulation.moment, simulation.others.actors.sizes
    there = moment.present
    boxes = shapely.polygons(box_corners(moment.states[there], sizes[there]))
    ego = shapely.Polygon(footprint(moment.ego, Vehicle())).buffer(ROOM_M)
    first, second = shapely.STRtree(boxes).query(boxes, "intersects")
    return not (ego.intersects(boxes).any() or (first != second).any())


def _cut(setup: SituationSetup) -> tuple[int, ...] | None:
    """The route no longer than it need be, so that it hardly comes by the same place twice; None
    where it is too short."""
    path = RoutePath.of(setup.town, setup.route)
    end = setup.s + setup.route_m + AFTER_M
    if path.length < end:
        return None
    return setup.route[: setup.route.index(int(path.lanes[np.searchsorted(path.arcs, end)])) + 1]


def _ego(expert: Expert, s: float) -> F64:
    """(11,) on the expert's path, as fast as it would be there."""
    ego = np.zeros(11)
    ego[:3] = expert.path.at(np.array(s))
    ego[2] = wrap_angle(ego[2])
    ego[VX] = expert.allowed(s)
    return ego
