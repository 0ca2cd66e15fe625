"""The guard: what the car may be asked to do, and what it does instead.

A candidate is refused when it is not finite, does not start where the ego is, asks for more than a
car can do, or is in conflict with what was seen (checks.py). The best one left drives. If none is
left the car stops comfortably along the last good path, else along its present arc.
May import: types, frames, checks.

The limits are those of a car on dry asphalt, not of comfort (that is scored): a plan within them
can be driven, a plan outside them is a fault of the planner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.drive.checks import Surroundings, conflict
from irl_vla.frames import to_inner, wrap_angle
from irl_vla.types import F64, PLAN_DT_S, Candidates, EgoStatus, Rejection, Trajectory

STOP_M_S2 = 2.5  # [m/s^2] of the comfortable stop (DESIGN section 3, Guard)
FINE_S = 0.05  # [s] step of a path that is driven along


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a drivable plan."""

    max_speed: float = 42.0  # [m/s] 150 km/h
    max_reverse: float = 0.3  # [m/s] backwards: noise of a standing car, never a manoeuvre
    max_acceleration: float = 4.0  # [m/s^2] forwards
    max_braking: float = 9.0  # [m/s^2] full braking on dry asphalt
    max_lateral: float = 6.0  # [m/s^2] a passenger car begins to slide above
    max_curvature: float = 0.25  # [1/m] 4 m radius at the rear axle
    max_start_error: float = 2.0  # [m/s] first interval against the present speed, beyond braking
    max_slip: float = 0.35  # [rad] between the heading and the way it moves, when it moves

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value < np.inf:
                raise ValueError(f"guard.{name}: expected a positive finite number, got {value}")


@dataclass(frozen=True)
class Choice:
    """What the guard lets through. chosen: index into the candidates, None when none is left."""

    trajectory: Trajectory
    chosen: int | None
    rejected: tuple[Rejection, ...]


def choose(
    candidates: Candidates, preference: F64, ego: EgoStatus, limits: Limits, seen: Surroundings,
    stop: Trajectory,
) -> Choice:  # fmt: skip
    """The first drivable candidate in the order of preference (K,), else `stop`."""
    rejected: list[Rejection] = []
    order = np.argsort(-np.nan_to_num(preference, nan=-np.inf), kind="stable")
    for index in order:
        poses = candidates.poses[index]
        step_s = candidates.step_s
        reason = fault(poses, step_s, ego, limits) or conflict(poses, step_s, seen)
        if reason is None:
            return Choice(Trajectory(poses, candidates.step_s), int(index), tuple(rejected))
        rejected.append(Rejection(int(index), *reason))
    return Choice(stop, None, tuple(rejected))


def fault(poses: F64, step_s: float, ego: EgoStatus, limits: Limits) -> tuple[str, str] | None:
    """(reason, detail) why (T, 3) poses cannot be driven from the present motion, or None."""
    if not np.isfinite(poses).all():
        return "nan", "poses are not finite"
    path = np.vstack([np.zeros(3), poses])
    step = np.diff(path[:, :2], axis=0)
    turn = wrap_angle(np.diff(path[:, 2]))
    middle = path[:-1, 2] + turn / 2
    along = np.cos(middle) * step[:, 0] + np.sin(middle) * step[:, 1]
    speed = along / step_s
    for found in (
        _speed_fault(speed, float(ego.velocity[0]), step_s, limits),
        _turn_fault(step, along, turn, speed, limits),
    ):
        if found is not None:
            return found
    return None


def _speed_fault(speed: F64, now: float, step_s: float, limits: Limits) -> tuple[str, str] | None:
    """speed: (T,) mean over each interval [m/s]."""
    if speed.max() > limits.max_speed:
        return "too_fast", f"{speed.max():.1f} m/s, at most {limits.max_speed}"
    if speed.min() < -limits.max_reverse:
        return "reverses", f"{speed.min():.1f} m/s"
    half = step_s / 2  # the first mean speed is reached in the middle of the first interval
    up = limits.max_acceleration * half + limits.max_start_error
    down = limits.max_braking * half + limits.max_start_error
    if not -down <= speed[0] - now <= up:
        return "jumps", f"starts at {speed[0]:.1f} m/s while the ego drives {now:.1f}"
    change = np.diff(speed) / step_s
    if change.size and change.max() > limits.max_acceleration:
        return "accelerates", f"{change.max():.1f} m/s^2, at most {limits.max_acceleration}"
    if change.size and change.min() < -limits.max_braking:
        return "brakes", f"{-change.min():.1f} m/s^2, at most {limits.max_braking}"
    return None


def _turn_fault(
    step: F64, along: F64, turn: F64, speed: F64, limits: Limits
) -> tuple[str, str] | None:
    """step: (T, 2) [m]; along: (T,) its part along the heading; turn: (T,) [rad]."""
    length = np.hypot(step[:, 0], step[:, 1])
    aside = np.sqrt(np.maximum(length**2 - along**2, 0.0))
    if np.any(aside > np.sin(limits.max_slip) * length + 0.1):  # 0.1 m: noise of a standing car
        return "slides", f"moves {aside.max():.1f} m aside of its heading in one step"
    if np.any(np.abs(turn) > limits.max_curvature * np.abs(along) + 0.05):  # 0.05 rad: likewise
        return "turns_on_the_spot", f"{np.abs(turn).max():.2f} rad in {along.min():.1f} m"
    lateral = np.abs(speed * turn / PLAN_DT_S)
    if lateral.max() > limits.max_lateral:
        return "corners", f"{lateral.max():.1f} m/s^2 sideways, at most {limits.max_lateral}"
    return None


def stop_along(path: F64, speed: float, braking: float = STOP_M_S2) -> Trajectory:
    """Come to a halt along a path at constant braking.

    path: (n, 3) poses in the present ego frame, from the ego onwards; beyond its end the car goes
    straight on. speed: present [m/s], negative counts as 0.
    """
    time = PLAN_DT_S * np.arange(1, 9)
    speed = max(speed, 0.0)
    until = np.minimum(time, speed / braking)
    distance = speed * until - 0.5 * braking * until**2
    length = np.r_[0.0, np.cumsum(np.hypot(*np.diff(path[:, :2], axis=0).T))]
    yaw = np.unwrap(path[:, 2])
    x, y, heading = (np.interp(distance, length, column) for column in (*path[:, :2].T, yaw))
    beyond = np.maximum(distance - length[-1], 0.0)
    x, y = x + beyond * np.cos(yaw[-1]), y + beyond * np.sin(yaw[-1])
    return Trajectory(np.stack([x, y, np.asarray(wrap_angle(heading))], axis=-1))


def present_arc(ego: EgoStatus) -> F64:
    """(n, 3) path of the present turn rate and speed over 4 s, for a car without a better one."""
    speed = max(float(ego.velocity[0]), 0.0)
    curvature = float(np.clip(ego.yaw_rate / max(speed, 1.0), -0.2, 0.2))  # [1/m]
    distance = np.arange(0.0, 4.0 + FINE_S, FINE_S) * speed
    yaw = curvature * distance
    step = np.diff(distance, prepend=0.0)
    heading = yaw - curvature * step / 2
    x, y = np.cumsum(step * np.cos(heading)), np.cumsum(step * np.sin(heading))
    return np.stack([x, y, yaw], axis=-1)


def rest_of(path: F64, ego_pose: F64) -> F64:
    """The part of a path that still lies ahead, in the present ego frame, starting at the ego.

    path: (n, 3) poses; ego_pose: (3,) present pose in the frame of the path
    """
    ahead = to_inner(path, ego_pose)
    front = ahead[ahead[:, 0] > 0.0]
    return np.vstack([np.zeros(3), front])
