"""A policy drives the built-in world: what its cameras show follows from where it steers.

Every tenth of a second: pictures, ego motion and navigation go to the driving core, the plan (or
the stop of a refusal) is tracked by the scorer's LQR and bicycle for one step, the traffic answers,
and so on. Before that an expert drives for a while, watched by the core, so that history and
memory are as they would be. May import: what drive may, and world.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from irl_vla.drive.core import DrivingCore, Perceived, Step
from irl_vla.planner.rule import braking_distances
from irl_vla.scoring.scene import OMEGA, VX, Vehicle
from irl_vla.scoring.simulate import PACIFICA, sample_plans, simulate
from irl_vla.types import F64, EgoStatus, FrameSet, Intent, Plan, SceneTokens, Trajectory
from irl_vla.world.course import Course, Ending
from irl_vla.world.episode import Episode, Moment
from irl_vla.world.feed import Eye, exposures, motion_of, navigation, stamp_of
from irl_vla.world.routes import Path
from irl_vla.world.simulation import Simulation, episode_from

STOP_M_S2 = 2.5  # [m/s²] where neither plan nor stop is known


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


class SightlessCore(DrivingCore):
    """The core of a policy that has no eyes, without the pictures that nobody would look at. Its
    plans are those of a core with pictures; only a missing picture is not refused here."""

    def perceive(
        self, frames: FrameSet, ego: EgoStatus, intent: Intent, memory_stamp_ns: int | None
    ) -> Perceived:
        """Tokens that hold nothing."""
        return Perceived(SceneTokens.blind(frames.anchor_stamp_ns, self.epoch), frames)


class ClosedLoop:
    """One drive. Iterate over `ticks`; afterwards `course` and `episode()` say the rest.

    simulation: with an expert at the wheel; path: the route; route_m: where along it the drive is
    over [m]; eye: moment -> pictures of the core's rig, or None: nothing is painted, for a
    SightlessCore
    """

    def __init__(
        self, simulation: Simulation, path: Path, core: DrivingCore, eye: Eye | None,
        route_m: float | None = None, vehicle: Vehicle = PACIFICA,
    ) -> None:  # fmt: skip
        if simulation.driver is None:
            raise ValueError("somebody must drive while the core watches")
        self.simulation, self.path, self.core, self.eye = simulation, path, core, eye
        self.vehicle = vehicle
        self.course = Course(
            simulation.town, path, simulation.others.actors, simulation.moment, route_m, vehicle
        )
        self._moments: list[Moment] = []

    @property
    def ending(self) -> Ending | None:
        """Why the drive is over, None while it is not."""
        return self.course.ending

    def ticks(self) -> Iterator[Tick]:
        """Drives until something ends it."""
        while self.ending is None:
            moment = self.simulation.moment
            self._moments.append(moment)
            driving = self.course.taken_over(moment)
            step = self._think(moment)
            self.course.see(moment)
            if self.ending is None and self.simulation.others.ended:
                self.course.ending = Ending.RECORDING_OVER
            if self.ending is None:
                self.simulation.step(self._steered(moment, step) if driving else None)
            yield Tick(moment, step, driving)

    def stop(self) -> None:
        """Ends the drive here."""
        self.course.ending = Ending.STOPPED

    def episode(self, seed: int) -> Episode:
        """The drive as a recording: it can be scored, drawn and replayed like any other."""
        drive = episode_from(self.simulation, self._moments, seed, self.vehicle)
        return replace(drive, driver=self.core.mind.bundle_id)

    def _think(self, moment: Moment) -> Step:
        """The moment as the car hears it, through the core."""
        stamp = stamp_of(moment)
        self.core.add_motion(motion_of(moment))
        self.core.add_intent(navigation(moment, self.path))
        seen = exposures(moment, self.eye) if self.eye else []
        images = {image.camera: image for image in seen}
        return self.core.step(FrameSet(stamp, images), stamp)

    def _steered(self, moment: Moment, step: Step) -> F64:
        """(11,) the ego 0.1 s later."""
        outcome = step.outcome
        wanted = outcome.trajectory if isinstance(outcome, Plan) else outcome.stop
        return follow(wanted, moment.ego, self.vehicle)


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


def straight_stop(speed: float) -> F64:
    """(8, 3) braking at STOP_M_S2 straight ahead."""
    x = braking_distances(max(speed, 0.0), STOP_M_S2)
    return np.column_stack([x, np.zeros((len(x), 2))])
