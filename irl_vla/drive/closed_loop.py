"""A policy drives the built-in world: what its cameras show follows from where it steers.

Every tenth of a second: pictures, ego motion and navigation go to the driving core, the plan (or
the stop of a refusal) is tracked by the scorer's LQR and bicycle for one step, the traffic answers,
and so on. Before that an expert drives for a while, watched by the core, so that history and
memory are as they would be. May import: what drive may, and world.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from irl_vla.drive.core import DrivingCore, Step
from irl_vla.scoring.scene import HEADING, OMEGA, STEP_S, VX, Vehicle, X, Y
from irl_vla.scoring.simulate import PACIFICA, sample_plans, simulate
from irl_vla.types import F64, FrameSet, InputError, Plan, Trajectory
from irl_vla.world.episode import Episode, Moment
from irl_vla.world.feed import Eye, exposures, motion_of, navigation, stamp_of
from irl_vla.world.infractions import Watch
from irl_vla.world.routes import Path
from irl_vla.world.simulation import Simulation, episode_from

WATCHED_S = 2.0  # [s] the core only watches while the expert drives: history and memory fill
STOP_M_S2 = 2.5  # [m/s²] where neither plan nor stop is known
STUCK_M_S, STUCK_S = 0.1, 40.0  # slower for so long: blocked (a red light lasts less)
SLOWEST_M_S = 2.0  # mean speed that a route may be driven with before time is up
GRACE_S = 60.0  # [s] beside that


class Ending(str, Enum):
    """Why a drive ended."""

    ROUTE_COMPLETED = "route completed"
    COLLISION = "collision"
    LEFT_ROUTE = "left the route"
    BLOCKED = "blocked"
    TIME_UP = "time is up"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Tick:
    """One tenth of a second. step: what the core made of it; driving: False while it watches."""

    moment: Moment
    step: Step
    driving: bool

    def without_pictures(self) -> Tick:
        """What is worth remembering of a long drive."""
        frames = replace(self.step.frames, images={})
        return replace(self, step=replace(self.step, frames=frames, tokens=None))


class ClosedLoop:
    """One drive. Iterate over `ticks`; afterwards `ending`, `episode()` and `watch` say the rest.

    simulation: with an expert at the wheel; path: the route; route_m: where along it the drive is
    over [m]; eye: moment -> pictures of the core's rig
    """

    def __init__(
        self, simulation: Simulation, path: Path, core: DrivingCore, eye: Eye,
        route_m: float | None = None, vehicle: Vehicle = PACIFICA,
    ) -> None:  # fmt: skip
        if simulation.driver is None:
            raise ValueError("somebody must drive while the core watches")
        self.simulation, self.path, self.core, self.eye = simulation, path, core, eye
        self.vehicle = vehicle
        ego = simulation.moment.ego
        start = np.asarray(ego[[X, Y, HEADING]])
        self.watch = Watch(simulation.town, path, simulation.others.actors, vehicle, start)
        self._begin_m = self.watch.place_m
        end_m = path.length if route_m is None else self._begin_m + route_m
        if not self._begin_m < end_m <= path.length:
            raise InputError(
                f"route: expected at most {path.length - self._begin_m:.0f} m from where the drive "
                f"begins, got {end_m - self._begin_m:.0f} m; ask for a shorter one"
            )
        self._end_m = end_m
        self._limit_s = WATCHED_S + (end_m - self._begin_m) / SLOWEST_M_S + GRACE_S
        self._stood_s = 0.0
        self._moments: list[Moment] = []
        self.ending: Ending | None = None

    @property
    def completed(self) -> float:
        """Share of the route that was driven, 0..1."""
        done = (self.watch.farthest_m - self._begin_m) / (self._end_m - self._begin_m)
        return float(np.clip(done, 0.0, 1.0))

    @property
    def span_m(self) -> tuple[float, float]:
        """Where along the path the route begins and ends [m]."""
        return self._begin_m, self._end_m

    @property
    def distance_m(self) -> float:
        """Length of the route [m]."""
        return self._end_m - self._begin_m

    def ticks(self) -> Iterator[Tick]:
        """Drives until something ends it. A caller who stops early leaves it STOPPED."""
        while self.ending is None:
            moment = self.simulation.moment
            self._moments.append(moment)
            driving = moment.time_s - self._moments[0].time_s >= WATCHED_S - STEP_S / 2
            step = self._think(moment)
            self.watch.see(moment)
            self.ending = self._over(moment) if driving else None
            if self.ending is None:
                self.simulation.step(self._steered(moment, step) if driving else None)
            yield Tick(moment, step, driving)

    def episode(self, seed: int) -> Episode:
        """The drive as a recording: it can be scored, drawn and replayed like any other."""
        drive = episode_from(self.simulation, self._moments, seed, self.vehicle)
        return replace(drive, driver=self.core.mind.bundle_id)

    def _think(self, moment: Moment) -> Step:
        """The moment as the car hears it, through the core."""
        stamp = stamp_of(moment)
        self.core.add_motion(motion_of(moment))
        self.core.add_intent(navigation(moment, self.path))
        images = {image.camera: image for image in exposures(moment, self.eye)}
        return self.core.step(FrameSet(stamp, images), stamp)

    def _steered(self, moment: Moment, step: Step) -> F64:
        """(11,) the ego 0.1 s later."""
        outcome = step.outcome
        wanted = outcome.trajectory if isinstance(outcome, Plan) else outcome.stop
        return follow(wanted, moment.ego, self.vehicle)

    def _over(self, moment: Moment) -> Ending | None:
        """Whether the drive is over now."""
        if self.watch.collided:
            return Ending.COLLISION
        if self.watch.place_m >= self._end_m:
            return Ending.ROUTE_COMPLETED
        if self.watch.lost:
            return Ending.LEFT_ROUTE
        standing = abs(float(moment.ego[VX])) < STUCK_M_S
        self._stood_s = self._stood_s + STEP_S if standing else 0.0
        if self._stood_s > STUCK_S:
            return Ending.BLOCKED
        spent = moment.time_s - self._moments[0].time_s
        return Ending.TIME_UP if spent > self._limit_s else None


def follow(wanted: Trajectory | None, ego: F64, vehicle: Vehicle) -> F64:
    """(11,) the ego 0.1 s after `ego` (11,), tracking a trajectory in its frame; without one it
    brakes straight ahead."""
    poses = straight_stop(float(ego[VX])) if wanted is None else wanted.poses
    refs = sample_plans(poses, ego, 0, vehicle)
    state: F64 = simulate(ego, refs, vehicle.wheel_base)[0, 1]
    if state[VX] < 0.0:  # the scorer's bicycle knows no brakes that hold
        state = ego.copy()
        state[[VX, OMEGA]] = 0.0
        state[5:7] = 0.0
        state[8:] = 0.0
    return state


def straight_stop(speed: float, step_s: float = 0.5, poses: int = 8) -> F64:
    """(8, 3) braking at STOP_M_S2 straight ahead."""
    t = np.arange(1, poses + 1) * step_s
    t = np.minimum(t, max(speed, 0.0) / STOP_M_S2)
    x = max(speed, 0.0) * t - STOP_M_S2 * t * t / 2.0
    return np.column_stack([x, np.zeros(poses), np.zeros(poses)])
