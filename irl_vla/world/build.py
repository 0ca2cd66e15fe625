"""A world of a seed: its town, a route, traffic, and the expert who drives it.

    simulation = simulation_of(7)      somewhere on the way, everybody in motion, the clock at 0
    episode = episode_of(7)            what happens in the next 20.6 s
Where the ego begins is drawn, too; a place is taken only if on an empty road the drive from there
would not stand too long at red lights. The first two seconds are driven but not recorded.
May import: frames, scoring.scene, types, world.driver, episode, world.roads, routes, simulation,
town, world.traffic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from irl_vla.frames import arc_lengths, wrap_angle
from irl_vla.scoring.scene import AX, SIM_DT_S, VX
from irl_vla.types import F64, InputError
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.driver.expert import Expert
from irl_vla.world.episode import Episode
from irl_vla.world.roads.build import build_town
from irl_vla.world.roads.town_request import TownRequest
from irl_vla.world.routes import RoutePath, random_route
from irl_vla.world.simulation import Simulation, record
from irl_vla.world.town import NONE, Town
from irl_vla.world.traffic.traffic import Traffic, TrafficRequest

STEPS = 206  # moments: 2 s of past for the first scene, 5 s of future for the last
WARM_UP = 20  # steps driven before the clock is 0
ROUTE_M = 200.0  # [m] of route beyond what can be driven at the fastest limit
START_M = (8.0, 25.0)  # [m] kept from the ends of the lane where the ego begins
ROUTES, PLACES = 4, 4  # that are looked at, and places to begin on each
STANDING_SHARE = 0.05  # of the time at lights: more is not taken if avoidable
ATTEMPTS = 4  # to begin in motion, with nobody in the way
TOO_HARD, TOO_SLOW = -4.5, 2.0  # [m/s²] braking in the warm-up, [m/s] after it
BUILD_SEED, DRIVER_SEED, FARTHER_SEED = 31, 7, 37


@dataclass(frozen=True, kw_only=True)
class EpisodeRequest:
    """What kind of episode is wanted. steps: moments, 0.1 s apart; town, traffic: see there."""

    steps: int = STEPS
    town: TownRequest = field(default_factory=TownRequest)
    traffic: TrafficRequest = field(default_factory=TrafficRequest)
    vehicle: Vehicle = PACIFICA

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"episode request: steps is {self.steps}: expected at least 1")


def simulation_of(seed: int, request: EpisodeRequest = EpisodeRequest()) -> Simulation:
    """The world of a seed at clock 0, the expert at the wheel."""
    town = build_town(seed, request.town)
    rng = np.random.default_rng([seed, BUILD_SEED])
    for attempt in range(ATTEMPTS):
        expert, s = _beginning(town, rng, seed, request.vehicle)
        expert = _farther(town, expert, seed, request)
        ego = _start(expert, s)
        lane = int(expert.path.lanes[np.searchsorted(expert.path.arcs, s)])
        traffic = Traffic(
            town, seed, ego[:3], float(ego[VX]), expert.route[expert.route.index(lane) :],
            request.traffic, request.vehicle, time_s=-WARM_UP * SIM_DT_S,
        )  # fmt: skip
        simulation = Simulation(town, traffic, expert, ego, -WARM_UP)
        hardest = min(float(simulation.step().ego[AX]) for _ in range(WARM_UP))
        moves = simulation.moment.ego[VX] > TOO_SLOW
        if (moves and hardest > TOO_HARD) or attempt == ATTEMPTS - 1:
            break
    return simulation


def episode_of(seed: int, request: EpisodeRequest = EpisodeRequest()) -> Episode:
    """What the expert does and what happens around it in the world of a seed."""
    return record(simulation_of(seed, request), seed, request.vehicle, request.steps)


def _beginning(
    town: Town, rng: np.random.Generator, seed: int, vehicle: Vehicle
) -> tuple[Expert, float]:
    """Who drives which route from which s on: of some places drawn the first where the road ahead
    keeps moving, else the one where the least time is stood at lights. It does not depend on how
    long a drive is wanted: a longer one begins like a shorter one."""
    streets = _streets(town)
    fastest = max(lane.speed_limit for lane in town.lanes)
    steps = WARM_UP + STEPS
    length = fastest * steps * SIM_DT_S + ROUTE_M
    best: tuple[float, Expert, float] | None = None
    for _ in range(ROUTES):
        route = random_route(town, rng, streets[rng.integers(len(streets))], length)
        expert = Expert(town, route, seed * 8 + DRIVER_SEED, vehicle)
        end = arc_lengths(town.lanes[route[0]].centre)[-1] - START_M[1]
        for s in rng.uniform(START_M[0], max(end, START_M[0] + 1.0), PLACES).tolist():
            stands = expert.standing(s, -WARM_UP * SIM_DT_S, steps)
            if best is None or stands < best[0]:
                best = stands, expert, s
            if stands <= STANDING_SHARE:
                return expert, s
    assert best is not None
    return best[1], best[2]


def _farther(town: Town, expert: Expert, seed: int, request: EpisodeRequest) -> Expert:
    """The same driver with a route that is long enough for as many steps as are wanted."""
    fastest = max(lane.speed_limit for lane in town.lanes)
    more = fastest * (request.steps - STEPS) * SIM_DT_S
    if more <= 0.0:
        return expert
    rng = np.random.default_rng([seed, FARTHER_SEED])
    on = random_route(town, rng, expert.route[-1], more)
    return Expert(town, (*expert.route[:-1], *on), seed * 8 + DRIVER_SEED, request.vehicle)


def _streets(town: Town) -> list[int]:
    """Lanes where an ego may begin."""
    closed = {closure.lane for closure in town.closures}
    streets = [
        i for i, lane in enumerate(town.lanes)
        if lane.junction == NONE and not lane.merging and lane.successors and i not in closed
        and arc_lengths(lane.centre)[-1] > sum(START_M) + 5.0
    ]  # fmt: skip
    if not streets:
        raise InputError(
            f"town '{town.name}': no lane is long enough to begin on (more than "
            f"{sum(START_M) + 5.0:.0f} m and leading on); ask for longer streets"
        )
    return streets


def _start(expert: Expert, s: float) -> F64:
    """(11,) on the path at s, as fast as the driver would be there."""
    path: RoutePath = expert.path
    ego = np.zeros(11)
    ego[:3] = path.at(np.array(s))
    ego[2] = wrap_angle(ego[2])
    ego[VX] = expert.allowed(s)
    return ego
