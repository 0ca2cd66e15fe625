"""Pure pursuit: a trajectory and the car's motion -> speed and curvature, within limits. No ROS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PREVIEW_S = 0.1  # the speed that is asked for is that of the trajectory so far ahead
NEAR_M = 0.3  # a target nearer than this has no direction

Pose = tuple[float, float, float]  # x forward [m], y left [m], yaw counter-clockwise [rad]


@dataclass(frozen=True)
class Limits:
    """What is never asked for, whatever the trajectory says. braking: also of the stop without a
    trajectory; reach_s, reach_m: the target lies so far ahead, whichever is farther"""

    speed: float = 20.0  # [m/s]
    braking: float = 4.0  # [m/s^2]
    curvature: float = 0.2  # [1/m]
    reach_s: float = 0.8
    reach_m: float = 4.0


@dataclass(frozen=True)
class Wanted:
    """What the car is asked for: speed [m/s] and curvature of its path [1/m], left positive."""

    speed: float
    curvature: float


def seen_from(pose: Pose, origin: Pose) -> Pose:
    """A pose as it is from another one, both in one frame."""
    dx, dy = pose[0] - origin[0], pose[1] - origin[1]
    cos, sin = math.cos(origin[2]), math.sin(origin[2])
    turn = math.remainder(pose[2] - origin[2], math.tau)
    return cos * dx + sin * dy, cos * dy - sin * dx, turn


def pursue(path: Sequence[Pose], times_s: Sequence[float], speed: float, limits: Limits) -> Wanted:
    """path: poses from the trajectory's beginning on, in the frame of the car as it is now, reached
    at `times_s` from now; speed: the car's [m/s]."""
    reach = max(limits.reach_m, limits.reach_s * speed)
    x, y = _target(path, reach)
    square = x * x + y * y
    curvature = 2.0 * y / square if square > NEAR_M**2 and x > 0.0 else 0.0
    curvature = min(max(curvature, -limits.curvature), limits.curvature)
    wanted = _speed(path, times_s, speed)
    return Wanted(min(max(wanted, 0.0), limits.speed), curvature)


def braked(speed: float, curvature: float, step_s: float, limits: Limits) -> Wanted:
    """No trajectory: a little slower than now, on the path that was steered last."""
    return Wanted(max(speed - limits.braking * step_s, 0.0), curvature)


def _target(path: Sequence[Pose], reach: float) -> tuple[float, float]:
    """The first point of the path that far ahead; beyond its end straight on."""
    ahead = [pose for pose in path if pose[0] > 0.0]
    before = (0.0, 0.0)
    for x, y, _ in ahead:
        if math.hypot(x, y) >= reach:
            inner, outer = math.hypot(*before), math.hypot(x, y)
            share = (reach - inner) / max(outer - inner, 1e-6)
            return before[0] + share * (x - before[0]), before[1] + share * (y - before[1])
        before = (x, y)
    if not ahead:
        return reach, 0.0
    x, y, yaw = ahead[-1]
    rest = reach - math.hypot(x, y)
    return x + rest * math.cos(yaw), y + rest * math.sin(yaw)


def _speed(path: Sequence[Pose], times_s: Sequence[float], speed: float) -> float:
    """Of the trajectory soon: between now, and the mean speeds of its pieces at their middles."""
    known = [(0.0, speed)]
    for before, after, begin, end in zip(path, path[1:], times_s, times_s[1:], strict=False):
        length = math.hypot(after[0] - before[0], after[1] - before[1])
        if (begin + end) / 2.0 > PREVIEW_S:
            known.append(((begin + end) / 2.0, length / (end - begin)))
            break
    if len(known) == 1:
        return 0.0  # it is over
    (_, now), (later_s, later) = known
    return now + (later - now) * PREVIEW_S / later_s
