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

from irl_vla.drive.core import DrivingCore
from irl_vla.drive.step import Step
from irl_vla.drive.stops import stop_along
from irl_vla.scoring.scene import OMEGA, VX
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.types import (
    F64,
    FrameSet,
    Plan,
    Refusal,
    Trajectory,
)
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.episode import Episode, WorldState
from irl_vla.world.route_monitor import Ending, RouteMonitor
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulated_sensors import (
    CameraRenderer,
    exposures,
    motion_of,
    navigation,
    stamp_of,
)
from irl_vla.world.simulation import Simulation, episode_from


@dataclass(frozen=True)
class Tick:
    """One tenth of a second. step: what the core made of it; driving: False while it watches."""

    moment: WorldState
    step: Step
    driving: bool

    def without_pictures(self) -> Tick:
        """What is worth remembering of a long drive."""
        frames = replace(self.step.frames, images={})
        return replace(self, step=replace(self.step, frames=frames, tokens=None))


class ClosedLoop:
    """One drive. Iterate over `ticks`; afterwards `monitor` and `episode()` say the rest.

    simulation: with an expert at the wheel; path: the route; route_m: where along it the drive is
    over [m]; render: moment -> pictures of the core's rig, or None: nothing is painted, for a
    core without pictures
    """

    def __init__(
        self,
        simulation: Simulation,
        path: RoutePath,
        core: DrivingCore,
        render: CameraRenderer | None,
        route_m: float | None = None,
        vehicle: Vehicle = PACIFICA,
    ) -> None:
        if simulation.driver is None:
            raise ValueError("somebody must drive while the core watches")
        self.simulation, self.path, self.core, self.render = simulation, path, core, render
        self.vehicle = vehicle
        self.monitor = RouteMonitor(
            simulation.town, path, simulation.others.actors, simulation.moment, route_m, vehicle
        )
        self._moments: list[WorldState] = []

    @property
    def ending(self) -> Ending | None:
        """Why the drive is over, None while it is not."""
        return self.monitor.ending

    def ticks(self) -> Iterator[Tick]:
        """Drives until something ends it."""
        while self.ending is None:
            moment = self.simulation.moment
            self._moments.append(moment)
            driving = self.monitor.taken_over(moment)
            step = self._think(moment)
            self.monitor.observe(moment)
            if self.ending is None and self.simulation.others.ended:
                self.monitor.ending = Ending.RECORDING_OVER
            if self.ending is None:
                self.simulation.step(self._steered(moment, step) if driving else None)
            yield Tick(moment, step, driving)

    def stop(self) -> None:
        """Ends the drive here."""
        self.monitor.ending = Ending.STOPPED

    def episode(self, seed: int) -> Episode:
        """The drive as a recording: it can be scored, drawn and replayed like any other."""
        drive = episode_from(self.simulation, self._moments, seed, self.vehicle)
        return replace(drive, driver=self.core.stack.bundle_id)

    def _think(self, moment: WorldState) -> Step:
        """The moment as the car hears it, through the core."""
        stamp = stamp_of(moment)
        self.core.add_motion(motion_of(moment))
        self.core.add_intent(navigation(moment, self.path))
        seen = exposures(moment, self.render) if self.render else []
        images = {image.camera: image for image in seen}
        return self.core.step(FrameSet(stamp, images), stamp)

    def _steered(self, moment: WorldState, step: Step) -> F64:
        """(11,) the ego 0.1 s later."""
        return follow(driven(step.outcome), moment.ego, self.vehicle)


def driven(outcome: Plan | Refusal) -> Trajectory | None:
    """What the car drives now: the plan, or the stop of a refusal, where it has one."""
    if isinstance(outcome, Plan):
        return outcome.trajectory
    return None if outcome.fallback is None else outcome.fallback.trajectory


def follow(wanted: Trajectory | None, ego: F64, vehicle: Vehicle) -> F64:
    """(11,) the ego 0.1 s after `ego` (11,), tracking a trajectory in its frame; without one it
    brakes straight ahead."""
    if wanted is None:
        wanted = stop_along(np.zeros((1, 3)), float(ego[VX]))
    refs = sample_plans(wanted.poses, ego, 0, vehicle)
    state: F64 = simulate(ego, refs, vehicle.wheel_base)[0, 1]
    if state[VX] < 0.0:  # the scorer's bicycle knows no brakes that hold
        state = ego.copy()
        state[[VX, OMEGA]] = 0.0
        state[5:7] = 0.0
        state[8:] = 0.0
    return state
