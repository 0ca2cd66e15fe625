"""Coming to a halt along a path: geometry alone, whoever chooses path and braking.

May import: types, frames, planner.rule.
"""

from __future__ import annotations

import numpy as np

from irl_vla.frames import arc_lengths, to_inner, wrap_angle
from irl_vla.planner.rule import braking_distances
from irl_vla.types import F64, HORIZON_POSES, PLAN_DT_S, EgoStatus, Trajectory

COMFORTABLE_M_S2 = 2.5  # [m/s^2] of the comfortable stop (DESIGN section 3, Guard)
ARC_S, ARC_STEP_S = 4.0, 0.05  # [s] that the present motion is carried on, and the steps of it
ARC_CURVATURE = 0.2  # [1/m] of it at most: 5 m radius at the rear axle


def stop_along(
    path: F64, speed: float, braking: float = COMFORTABLE_M_S2, step_s: float = PLAN_DT_S,
    count: int = HORIZON_POSES,
) -> Trajectory:  # fmt: skip
    """Come to a halt along a path at constant braking.

    path: (n, 3) poses in the present ego frame, from the ego onwards; beyond its end the car goes
    straight on. speed: present [m/s], negative counts as 0. count: poses, step_s apart
    """
    time: F64 = step_s * np.arange(1.0, count + 1.0)
    distance = braking_distances(max(speed, 0.0), braking, time)
    length, yaw = arc_lengths(path), np.unwrap(path[:, 2])
    x, y, heading = (np.interp(distance, length, column) for column in (*path[:, :2].T, yaw))
    beyond = np.maximum(distance - length[-1], 0.0)
    x, y = x + beyond * np.cos(yaw[-1]), y + beyond * np.sin(yaw[-1])
    return Trajectory(np.stack([x, y, np.asarray(wrap_angle(heading))], axis=-1), step_s)


def present_arc(ego: EgoStatus) -> F64:
    """(n, 3) path of the present turn rate and speed over 4 s, for a car without a better one."""
    speed = max(float(ego.velocity[0]), 0.0)
    bend = float(ego.yaw_rate) / max(speed, 1.0)
    curvature = float(np.clip(bend, -ARC_CURVATURE, ARC_CURVATURE))
    distance = np.arange(0.0, ARC_S + ARC_STEP_S, ARC_STEP_S) * speed
    yaw = curvature * distance
    step = np.diff(distance, prepend=0.0)
    heading = yaw - curvature * step / 2
    x, y = np.cumsum(step * np.cos(heading)), np.cumsum(step * np.sin(heading))
    return np.stack([x, y, yaw], axis=-1)


def rest_of(path: F64, ego_pose: F64) -> F64:
    """The part of a path that still lies ahead, in the present ego frame, starting at the ego.

    path: (n, 3) poses from where the ego was; ego_pose: (3,) present pose in the frame of the path
    """
    ahead = to_inner(path, ego_pose)
    if len(ahead) == 1:
        return np.zeros((1, 3))
    start, leg = ahead[:-1, :2], np.diff(ahead[:, :2], axis=0)
    squared = np.maximum((leg**2).sum(axis=1), 1e-12)
    share = np.clip(-(start * leg).sum(axis=1) / squared, 0.0, 1.0)
    nearest = int(np.argmin(np.hypot(*(start + share[:, None] * leg).T)))
    front = ahead[nearest:]
    return np.vstack([np.zeros(3), front[np.cumsum(front[:, 0] > 0.0) > 0]])
