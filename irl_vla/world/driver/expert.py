"""The expert: a driver who knows the town and everybody in it, and drives well but like a person.

    driver = Expert(town, route, seed);  driver.drive(moment, actors) -> DriverAction
Speed: the least of what limits, bends, those ahead, those who cross, lights, junctions and people
on crosswalks allow. Place: the route's path, a lane change when its lane is free, around what
stands or rides in the way. It goes on from any state of the ego.
May import: scoring.scene, types, world.driver, episode, routes, simulation, town.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from irl_vla.scoring.compiled import plain
from irl_vla.types import F64, IntentDirection
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.driver.decision import (
    ASIDE,
    BOUND,
    FRESH,
    MEMORY,
    PLACE,
    LateralDrift,
    WorldArrays,
    decide,
    empty_drive,
)
from irl_vla.world.driver.knowledge import DriverKnowledge, study
from irl_vla.world.driver.observation import DrivingParameters, EgoExtents, nothing_seen
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, RIGHT_INDICATOR, Actors, WorldState
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulation import DriverAction
from irl_vla.world.town import Town

PACE = (0.85, 1.05)  # desired speed as a share of the limit
HEADWAY_S = (1.2, 2.2)
SIDE_ACCEL = (1.4, 2.3)  # [m/s²] in bends
GAP_M = (2.0, 3.2)  # at a standstill
ACCELERATE = (1.1, 1.9)  # [m/s²]
BRAKING = (1.6, 2.4)  # [m/s²] comfortable
SWIFT = (0.8, 1.15)  # factor on the changes of acceleration
WANDER_M = (0.015, 0.04)  # [m] amplitude of each of the waves
WANDER_WAVE_M = ((45.0, 80.0), (90.0, 160.0))  # [m] their lengths
ELSEWHERE_M, ELSEWHERE_MPS = 0.2, 0.5  # the ego is not where it was driven to: begin anew
STYLE_SEED, WANDER_SEED = 41, 42
BLINK_AHEAD_M, BLINK_AHEAD_S = 20.0, 3.0  # before a turn or a lane change
LIGHT_BRAKING = -0.45  # [m/s²] from here on the brake lamps are lit


@dataclass(frozen=True)
class DriverStyle:
    """What tells one driver from another. pace: desired speed as a share of the limit; headway [s];
    side: lateral acceleration in bends [m/s²]; gap at a standstill [m]; accelerate, brake [m/s²]
    comfortable; swift: factor on the changes of acceleration."""

    pace: float
    headway: float
    side: float
    gap: float
    accelerate: float
    brake: float
    swift: float

    @staticmethod
    def drawn(seed: int) -> DriverStyle:
        """One of a seed."""
        rng = np.random.default_rng([seed, STYLE_SEED])
        ranges = (PACE, HEADWAY_S, SIDE_ACCEL, GAP_M, ACCELERATE, BRAKING, SWIFT)
        return DriverStyle(*(float(rng.uniform(*bounds)) for bounds in ranges))


class Expert:
    """A driver of a route; see the module's text."""

    def __init__(
        self, town: Town, route: Sequence[int], seed: int, vehicle: Vehicle = PACIFICA,
        style: DriverStyle | None = None,
    ) -> None:  # fmt: skip
        self.path = RoutePath.of(town, route)
        self.style = style or DriverStyle.drawn(seed)
        self._known: DriverKnowledge = study(
            town, self.path, self.style.pace, self.style.side, vehicle.front_length
        )
        self._body = EgoExtents.of(vehicle)
        st = self.style
        self._manner = DrivingParameters(st.headway, st.gap, st.accelerate, st.brake, st.swift)
        rng = np.random.default_rng([seed, WANDER_SEED])
        lengths = np.array([rng.uniform(*bounds) for bounds in WANDER_WAVE_M])
        self._wander = LateralDrift(
            rng.uniform(*WANDER_M, len(lengths)), 2.0 * np.pi / lengths,
            rng.uniform(0.0, 2.0 * np.pi, len(lengths)),
        )  # fmt: skip
        stop_points = self._known.stop_points
        walks = stop_points.crosswalk >= 0
        self._walks = plain(np.stack([stop_points.s[walks], stop_points.end[walks]], axis=-1))
        self._memory = np.zeros(MEMORY)
        self._memory[FRESH] = 1.0
        self._changed = np.zeros(len(self.path.changes), np.int64)
        self._going = np.zeros(len(stop_points.s), np.int64)
        self._expected: F64 | None = None
        self._before = np.zeros(0)

    @property
    def route(self) -> tuple[int, ...]:
        """Lanes it follows."""
        return self.path.route

    def allowed(self, s: float) -> float:
        """Speed [m/s] that this driver wishes at s of its path on an empty road."""
        return float(np.interp(s, self._known.profile.arcs, self._known.profile.speed))

    def standing(self, s: float, time_s: float, steps: int) -> float:
        """Share of `steps` of 0.1 s from place s of the path on that this driver would stand at
        lights if nobody else were there; time_s: on the town's clock when it sets off."""
        known = self._known
        return float(
            empty_drive(
                known.profile,
                known.stop_points,
                known.cycles,
                s,
                self.allowed(s),
                time_s,
                steps,
                self._body,
                self._manner,
            )
        )

    def drive(self, moment: WorldState, actors: Actors) -> DriverAction:
        """The next 0.1 s from an instant; the ego may stand anywhere, at any speed."""
        ego = plain(moment.ego)
        self._notice(ego)
        if len(self._before) != len(actors):
            self._before = np.full(len(actors), np.nan)
        states = plain(moment.states)
        world = WorldArrays(
            moment.time_s, states, self._before, moment.present, moment.lamps, moment.lights,
            actors.types, actors.sizes,
        )  # fmt: skip
        known, new = self._known, np.empty(11)
        decide(
            known.profile, known.stop_points, known.streams, known.cycles, self._walks, world, ego,
            self._body, self._manner, self._wander, self._memory, self._changed, self._going,
            nothing_seen(len(actors)), new,
        )  # fmt: skip
        self._before = np.where(moment.present, states[:, 2], np.nan)
        self._expected = new
        return DriverAction(new, self._lamps(new))

    @property
    def bound_by(self) -> int:
        """What bounded the speed in the last decision: decision.FREE, LEADER, .. WAITING."""
        return int(self._memory[BOUND])

    def without_clock(self) -> Expert:
        """A copy that sees what lights show and does not know when they will change."""
        twin = self.copy()
        twin._known = replace(self._known, cycles=self._known.cycles.endless())
        return twin

    def copy(self) -> Expert:
        """One that goes its own way from here."""
        twin = object.__new__(Expert)
        twin.__dict__.update(self.__dict__)
        for name in ("_memory", "_changed", "_going", "_before"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def _notice(self, ego: F64) -> None:
        """Begins anew where somebody else has driven meanwhile."""
        expected = self._expected
        if expected is None or (
            math.hypot(ego[0] - expected[0], ego[1] - expected[1]) > ELSEWHERE_M
            or abs(ego[3] - expected[3]) > ELSEWHERE_MPS
        ):
            self._memory[FRESH] = 1.0
            self._changed[:] = 0
            self._going[:] = 0
            self._before = np.zeros(0)

    def _lamps(self, ego: F64) -> int:
        s, v = float(self._memory[PLACE]), float(ego[3])
        lamps = BRAKE if ego[5] < LIGHT_BRAKING or v < 0.1 else 0
        reach = s + max(BLINK_AHEAD_M, BLINK_AHEAD_S * v)
        for bend in self.path.bends:
            if bend.s < reach and s < bend.end and bend.direction != IntentDirection.STRAIGHT:
                left = bend.direction == IntentDirection.LEFT
                return lamps | (LEFT_INDICATOR if left else RIGHT_INDICATOR)
        for c, (begin, end, side) in enumerate(self.path.changes):
            waiting = self._changed[c] == 0 and s > begin
            if (begin < s + BLINK_AHEAD_S * v and s < end - 8.0) or (waiting and s < end + 40.0):
                return lamps | (LEFT_INDICATOR if side > 0 else RIGHT_INDICATOR)
        if abs(self._memory[ASIDE]) > 0.9 and v > 1.0:
            return lamps | (LEFT_INDICATOR if self._memory[ASIDE] > 0 else 0)
        return lamps
