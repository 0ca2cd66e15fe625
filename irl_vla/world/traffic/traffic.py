"""Traffic that reacts: vehicles, cyclists and people around the ego, ten steps a second.

    traffic = Traffic(town, seed, ego_pose, ego_speed, route)
    simulation = Simulation(town, traffic, driver, ego)
Drivers follow the improved IDM, keep to lights and right of way, change lanes (MOBIL) and give way
to people. The ego is one more vehicle to them: they brake for it, and expect it on every lane it
might take. What is out of the ordinary is scripted, rare, and named in `notes`.
Before it begins the town runs by itself for a while, the ego coming along at constant speed.
May import: scoring.scene, types, world.episode, world.traffic, world.simulation, world.town.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from irl_vla.scoring.compiled import plain
from irl_vla.scoring.scene import (
    AGENT_TYPES,
    BICYCLE,
    HEADING,
    PEDESTRIAN,
    SIM_DT_S,
    VEHICLE,
    VX,
    VY,
    X,
    Y,
)
from irl_vla.types import F64, InputError
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.episode import I8, MODELS, Actors, Note, WorldState
from irl_vla.world.signals import Cycles
from irl_vla.world.simulation import RoadUserStates
from irl_vla.world.town import OBSTACLE_KINDS, ParkingSpace, Town
from irl_vla.world.traffic.car_following import EGO_STOOD, EGO_V
from irl_vla.world.traffic.fleet import ALIVE, LEAD, SPENT, STILL, A, Fleet, new_fleet
from irl_vla.world.traffic.footpaths import put_people, seat_people
from irl_vla.world.traffic.lane_network import LaneNetwork, net_of
from irl_vla.world.traffic.parked import (
    askew,
    double_park,
    in_the_way,
    parked_car,
    ready_to_pull_out,
)
from irl_vla.world.traffic.pedestrians import Walkers, no_walkers, step_walkers
from irl_vla.world.traffic.right_of_way import no_claims
from irl_vla.world.traffic.scripts import TRIED_EVERY, ScriptContext, agenda, perform
from irl_vla.world.traffic.spawn import (
    BICYCLE as CYCLIST,
)
from irl_vla.world.traffic.spawn import (
    KINDS,
    SHARES,
    clear_for_ego,
    equip,
    populate,
    recycle,
    street_places,
    warm_up_ego,
)
from irl_vla.world.traffic.step import step_movers

WARM_UP_S, WARM_UP_STEP_S = 8.0, 0.2  # [s] that the town runs before the first moment
AROUND_M, ROUTE_AHEAD_M = 110.0, 260.0  # [m] from the ego and its route where traffic begins
SPACING_M = 13.0  # [m] between places for vehicles
PARKED_NEAR_M = 130.0  # [m] from the ego and its route where parked cars are put
KEPT_M, HARDEST = 4.0, 1.6  # [m], [m/s²] the ego's room at the start
STANDING = 0.3  # [m/s] slower stands
RECYCLE_EVERY = 10  # steps
DOUBLE_PARKED = 0.12  # share of worlds
LEAVING = 2  # parked cars that may pull out


@dataclass(frozen=True, kw_only=True)
class TrafficRequest:
    """How much traffic is wanted near the ego.

    vehicles, cyclists, people: how many at the start; spare: vehicles that may come later;
    parked: share of parking places taken; events: expected number of scripted events in 20 s
    """

    vehicles: int = 36
    cyclists: int = 3
    people: int = 30
    spare: int = 26
    parked: float = 0.75
    events: float = 1.2

    def __post_init__(self) -> None:
        for name in ("vehicles", "cyclists", "people", "spare", "parked", "events"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"traffic request: {name} is {getattr(self, name)}: expected 0 or more"
                )
        if self.parked > 1.0:
            raise InputError(f"traffic request: parked is {self.parked}: a share, at most 1")


class Traffic:
    """Implements `simulation.Others`; see the module's text."""

    def __init__(
        self, town: Town, seed: int, ego_pose: F64, ego_speed: float, route: tuple[int, ...],
        request: TrafficRequest = TrafficRequest(), vehicle: Vehicle = PACIFICA,
        time_s: float = 0.0,
    ) -> None:  # fmt: skip
        """ego_pose: (3,) rear axle at the first moment; route: lanes it follows, the first one is
        the one it is on; time_s: of the first moment on the town's clock."""
        if not route:
            raise InputError("traffic: the ego's route is empty: expected at least its own lane")
        self._rng = np.random.default_rng([seed, 5003])
        self._town, self._request, self._vehicle = town, request, vehicle
        self._net, self._cycles = net_of(town), Cycles.of(town)
        self._tick, self._time, self._ego_stood = 0, time_s, 0.0
        self._notes: tuple[Note, ...] = ()
        self._requests = agenda(self._rng, request.events, time_s)
        self._footpaths = np.concatenate([np.zeros((0, 2)), *town.footpaths])
        self._route = tuple(route)
        near = self._near(ego_pose)
        self._pool = np.flatnonzero((self._net.junction < 0) & (self._net.length > 30.0))
        self._slots(near, seed)
        self._claims, self._places = no_claims(len(self._fleet.f))
        self._begin(plain(ego_pose), ego_speed, near)

    @property
    def actors(self) -> Actors:
        """All that may ever be present."""
        return self._actors

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was scripted so far."""
        return self._notes

    @property
    def ended(self) -> bool:
        """Never."""
        return False

    def now(self) -> RoadUserStates:
        """Where everybody is."""
        fleet = self._fleet
        states = np.where(fleet.present[:, None], fleet.states, np.nan)
        return RoadUserStates(states, fleet.present.copy(), fleet.lamps.copy())

    def step(self, moment: WorldState) -> None:
        """Moves on by 0.1 s."""
        ego = ego_box(moment.ego, self._vehicle)
        self._ego_stood = self._ego_stood + SIM_DT_S if abs(ego[EGO_V]) < STANDING else 0.0
        ego[EGO_STOOD] = self._ego_stood
        if self._tick % RECYCLE_EVERY == 0:
            request, fleet = self._request, self._fleet
            wanted = request.vehicles + request.cyclists
            recycle(self._net, fleet, ego, self._pool, fleet.dice, wanted, request.people)
        if self._tick % TRIED_EVERY == 0 and self._requests:
            self._perform(ego, moment)
        _, red_left = self._cycles.at(moment.time_s)
        self._advance(ego, moment.lights, red_left, moment.time_s, SIM_DT_S)

    def copy(self) -> Traffic:
        """One that goes its own way from here."""
        twin = object.__new__(Traffic)
        twin.__dict__.update(self.__dict__)
        twin._fleet = Fleet(*(array.copy() for array in self._fleet))
        first, *arrays = self._walkers
        twin._walkers = Walkers(first, *(array.copy() for array in arrays))
        twin._claims, twin._places = self._claims.copy(), self._places.copy()
        return twin

    def _perform(self, ego: F64, moment: WorldState) -> None:
        """Starts scripts whose moment has come."""
        if self._requests[0].time_s > moment.time_s:
            return
        context = ScriptContext(
            self._net, self._fleet, self._walkers, ego, moment.lights, moment.time_s, self._claims,
            self._places, self._footpaths,
        )  # fmt: skip
        self._requests, notes = perform(context, self._requests)
        self._notes += notes

    def _advance(self, ego: F64, lights: I8, red_left: F64, time: float, dt: float) -> None:
        fleet = self._fleet
        step_movers(
            self._net, fleet, self._walkers, ego, lights, time, dt, self._tick, self._claims,
            self._places,
        )  # fmt: skip
        if len(self._walkers.mode):
            there = (fleet.g[:, ALIVE] == 1).astype(np.float64)
            step_walkers(
                self._walkers, fleet.states, there, fleet.half, ego, lights, red_left, time, dt,
            )  # fmt: skip
        self._tick += 1

    def _near(self, ego_pose: F64) -> F64:
        """(n, 2) points of the ego's next stretch of road, the ego's place among them."""
        net, gone, points = self._net, 0.0, [np.asarray(ego_pose[:2])[None]]
        for lane in self._route:
            points.append(net.xy[net.first[lane] : net.first[lane + 1] : 8])
            gone += net.length[lane]
            if gone > ROUTE_AHEAD_M:
                break
        return np.concatenate(points)

    def _slots(self, near: F64, seed: int) -> None:
        """Decides who there will be: movers, people, parked cars, obstacles."""
        request, rng, town = self._request, self._rng, self._town
        movers = request.vehicles + request.cyclists + request.spare
        parked = [spot for spot in town.spots if _close(spot.pose, near, PARKED_NEAR_M)]
        parked = [spot for spot in parked if rng.random() < request.parked]
        parked = self._pick_leaving(parked)
        things = [prop for prop in town.props if prop.kind in OBSTACLE_KINDS]
        count = movers + request.people + len(parked) + len(things)
        fleet = self._fleet = new_fleet(movers, count, seed)
        self._walkers = no_walkers(movers, request.people)
        sizes, models = np.zeros((count, 3)), np.full(count, MODELS.index("object"), np.int8)
        types = np.zeros(count, np.int8)
        bikes = set(rng.permutation(request.vehicles)[: request.cyclists].tolist())
        kinds = rng.random(movers) * SHARES[-1]
        for i in range(movers):
            bike = i in bikes or (i >= movers - request.spare and rng.random() < 0.08)
            kind = CYCLIST if bike else KINDS[np.searchsorted(SHARES, kinds[i])]
            if 0 <= i - request.vehicles - request.cyclists <= LEAVING:
                bike, kind = False, KINDS[0]
            models[i], sizes[i, 2] = equip(fleet, rng.random(9), i, kind)
            types[i] = BICYCLE if bike else VEHICLE
        at = movers
        fleet.half[at : at + request.people] = 0.3
        sizes[at : at + request.people, 2] = rng.uniform(1.55, 1.9, request.people)
        types[at : at + request.people] = PEDESTRIAN
        models[at : at + request.people] = MODELS.index("pedestrian")
        at += request.people
        for spot in parked:
            models[at], fleet.half[at], sizes[at, 2] = parked_car(rng, spot)
            fleet.states[at] = *askew(rng, spot.pose), 0.0, 0.0
            at += 1
        for prop in things:
            types[at] = AGENT_TYPES.index(prop.kind)
            fleet.half[at], sizes[at, 2] = prop.size[:2] / 2.0, prop.size[2]
            fleet.states[at] = *prop.pose, 0.0, 0.0
            at += 1
        fleet.present[movers + request.people :] = True
        sizes[:, :2] = 2.0 * fleet.half
        names = [f"{MODELS[m]}-{k}" for k, m in enumerate(models)]
        self._actors = Actors(
            tuple(names), types, sizes, models, rng.integers(0, 2**31, count).astype(np.int64)
        )

    def _pick_leaving(self, parked: list[ParkingSpace]) -> list[ParkingSpace]:
        """Chooses who may pull out, and leaves their way free; returns those who stay."""
        count = min(LEAVING, len(parked), self._request.spare) if self._request.events > 0 else 0
        chosen = self._rng.permutation(len(parked))[:count].tolist()
        self._leaving = [parked[k] for k in chosen]
        return [
            spot for k, spot in enumerate(parked)
            if k not in chosen and not any(in_the_way(one, spot) for one in self._leaving)
        ]  # fmt: skip

    def _stand(self, near: F64, ego: F64) -> None:
        """Parks those who may pull out, and now and then somebody on the road."""
        request, slot = self._request, self._request.vehicles + self._request.cyclists
        for spot in self._leaving:
            slot += ready_to_pull_out(self._net, self._fleet, slot, spot)
        rare = self._rng.random() < DOUBLE_PARKED * min(request.events, 1.0)
        rare = rare and slot < len(self._fleet.f)
        if rare and double_park(self._net, self._fleet, slot, near, ego, self._rng):
            self._notes += (Note("double-parked", self._time, (slot,)),)

    def _begin(self, ego_pose: F64, ego_speed: float, near: F64) -> None:
        """Puts everybody down and lets the town run until the ego comes to its place."""
        net, fleet, rng, request = self._net, self._fleet, self._rng, self._request
        arc = float(_arc_on(net, self._route[0], ego_pose))
        lane, start = self._route[0], self._time - WARM_UP_S
        ego = self._coming(lane, arc, ego_speed, WARM_UP_S)
        lanes, arcs, far = street_places(net, near, AROUND_M, SPACING_M)
        order = np.argsort(rng.random(len(lanes)) * (20.0 + far), kind="stable")
        arcs = arcs + rng.uniform(0.0, 4.0, len(arcs))
        wanted = request.vehicles + request.cyclists
        self._stand(near, ego)
        populate(net, fleet, ego, lanes[order].copy(), arcs[order].copy(), wanted, 0)
        put_people(self._town, self._walkers, fleet.states, near, rng)
        steps = round(WARM_UP_S / WARM_UP_STEP_S)
        for k in range(steps):
            time = start + k * WARM_UP_STEP_S
            ego = self._coming(lane, arc, ego_speed, self._time - time)
            self._advance(ego, *self._cycles.at(time), time, WARM_UP_STEP_S)
        ego = self._coming(lane, arc, ego_speed, 0.0)
        ego[:3] = box_middle(ego_pose, self._vehicle)
        clear_for_ego(net, fleet, ego, KEPT_M, HARDEST)
        hard = (fleet.g[:, ALIVE] == 1) & (fleet.g[:, LEAD] == -2) & (fleet.f[:, A] < -HARDEST)
        for i in np.flatnonzero(hard & (fleet.g[:, STILL] == 0)):
            fleet.g[i, ALIVE], fleet.present[i] = 0, False
        fleet.g[fleet.g[:, ALIVE] == 0, SPENT] = 0
        seat_people(self._walkers, fleet.present)
        self._tick = 0

    def _coming(self, lane: int, arc: float, speed: float, before_s: float) -> F64:
        """(8,) box of the ego `before_s` seconds before the first moment."""
        pose = warm_up_ego(self._net, lane, arc, speed * before_s)
        state = np.zeros(11)
        state[:3], state[VX] = pose, speed
        return ego_box(state, self._vehicle)


def box_middle(pose: F64, vehicle: Vehicle) -> F64:
    """Rear axle pose (3,) -> pose (3,) of the middle of the box."""
    x, y, heading = pose[:3]
    return np.array([
        x + vehicle.centre * math.cos(heading), y + vehicle.centre * math.sin(heading), heading,
    ])  # fmt: skip


def ego_box(state: F64, vehicle: Vehicle) -> F64:
    """State (11,) -> (9,) middle x, y, heading, global velocity, half sizes, speed, how long it
    has stood (0: not known here)."""
    c, s = math.cos(state[HEADING]), math.sin(state[HEADING])
    middle = box_middle(state[[X, Y, HEADING]], vehicle)
    vx, vy = state[VX] * c - state[VY] * s, state[VX] * s + state[VY] * c
    return np.array([
        *middle, vx, vy, vehicle.length / 2.0, vehicle.width / 2.0, state[VX], 0.0,
    ])  # fmt: skip


def _close(pose: F64, near: F64, reach: float) -> bool:
    return bool((np.hypot(near[:, 0] - pose[0], near[:, 1] - pose[1])).min() < reach)


def _arc_on(net: LaneNetwork, lane: int, pose: F64) -> float:
    """Arc of the point of a lane's centre next to a pose."""
    rows = slice(net.first[lane], net.first[lane + 1])
    gaps = np.hypot(net.xy[rows, 0] - pose[0], net.xy[rows, 1] - pose[1])
    return float(net.arc[rows][int(np.argmin(gaps))])
