"""The world's car moved by a vehicle interface's commands alone: a bicycle with limits. No ROS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from irl_vla.drive.closed_loop import ClosedLoop, Tick, driven
from irl_vla.drive.step import Step
from irl_vla.frames import wrap_angle
from irl_vla.scoring.scene import ALPHA as TURN
from irl_vla.scoring.scene import AX, HEADING, OMEGA, SIM_DT_S, STEER, STEER_RATE, VX, X, Y
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle
from irl_vla.world.episode import WorldState

STEER_RATE_MOST = 0.5  # [rad/s] of the front wheels
ALONE_BRAKING = 5.0  # [m/s^2] of a car that is told nothing
OLD_S = 0.5  # [s] a command that is older counts no more


@dataclass(frozen=True)
class MotionCommand:
    """speed [m/s]; steer: angle of the front wheels [rad]"""

    speed: float
    steer: float


def of_twist(speed: float, yaw_rate: float, wheel_base: float) -> MotionCommand:
    """A Twist's meaning for a car with front wheels."""
    curvature = yaw_rate / speed if abs(speed) > 1e-3 else 0.0
    return MotionCommand(speed, float(np.arctan(curvature * wheel_base)))


def moved(ego: F64, command: MotionCommand | None, vehicle: Vehicle) -> F64:
    """(11,) the car 0.1 s after `ego` (11,): as fast and as far turned as limits let it. None: it
    is told nothing and brakes."""
    limits, new = vehicle.limits, ego.copy()
    most = float(np.arctan(limits.max_curvature * vehicle.wheel_base))
    if command is None:
        speed, steer = float(ego[VX]) - ALONE_BRAKING * SIM_DT_S, float(ego[STEER])
    else:
        speed, steer = command.speed, float(np.clip(command.steer, -most, most))
    slowest = ego[VX] - limits.max_braking * SIM_DT_S
    fastest = min(ego[VX] + limits.max_acceleration * SIM_DT_S, limits.max_speed)
    new[VX] = max(np.clip(speed, slowest, max(fastest, slowest)), 0.0)
    turn = STEER_RATE_MOST * SIM_DT_S
    new[STEER] = np.clip(steer, ego[STEER] - turn, ego[STEER] + turn)
    way = (ego[VX] + new[VX]) / 2.0 * SIM_DT_S
    turned = way * np.tan(new[STEER]) / vehicle.wheel_base
    new[X] += way * np.cos(ego[HEADING] + turned / 2.0)
    new[Y] += way * np.sin(ego[HEADING] + turned / 2.0)
    new[HEADING] = wrap_angle(ego[HEADING] + turned)
    new[AX] = (new[VX] - ego[VX]) / SIM_DT_S
    new[STEER_RATE] = (new[STEER] - ego[STEER]) / SIM_DT_S
    new[OMEGA] = new[VX] * np.tan(new[STEER]) / vehicle.wheel_base
    new[TURN] = (new[OMEGA] - ego[OMEGA]) / SIM_DT_S
    return new


class CommandedLoop(ClosedLoop):
    """A drive in which the commands move the car. command: the one that counts now, or None."""

    def __init__(self, *given: Any, command: Callable[[], MotionCommand | None]) -> None:
        super().__init__(*given)
        self._command = command

    def _steered(self, moment: WorldState, step: Step) -> F64:
        return moved(moment.ego, self._command(), self.vehicle)


def cross_track_m(ticks: Sequence[Tick]) -> F64:
    """How far beside the trajectory of each moment the car is a tenth of a second later."""
    found = []
    for now, later in pairwise(ticks):
        wanted = driven(now.step.outcome)
        if not now.driving or wanted is None:
            continue
        offset = later.moment.ego[[X, Y]] - now.moment.ego[[X, Y]]
        cos, sin = np.cos(now.moment.ego[HEADING]), np.sin(now.moment.ego[HEADING])
        point = np.array([cos * offset[0] + sin * offset[1], cos * offset[1] - sin * offset[0]])
        path = np.vstack([np.zeros(2), wanted.poses[:, :2]])
        found.append(min(_distance(point, *piece) for piece in pairwise(path)))
    return np.array(found)


def _distance(point: F64, begin: F64, end: F64) -> float:
    along = end - begin
    length = float(along @ along)
    share = 0.0 if length == 0.0 else float(np.clip((point - begin) @ along / length, 0.0, 1.0))
    return float(np.linalg.norm(point - begin - share * along))
