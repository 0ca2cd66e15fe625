"""How a trajectory lies on its road: offset and heading against the lane, or, where no lane is
known, against a road that bends as steadily as it can.

May import: types, frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.types import F64, InputError

USUAL_WIDTH_M = 3.5  # [m] of a lane, where none is given


@dataclass(frozen=True)
class OwnLane:
    """The lane that the car is in now. centre: (n, 3) poses in driving direction, n >= 2, in
    the ego frame, as far ahead as it is known (beyond its ends it goes straight on); width [m]."""

    centre: F64
    width: float

    def __post_init__(self) -> None:
        shape = np.shape(self.centre)
        if len(shape) != 2 or shape[0] < 2 or shape[1] != 3:
            raise InputError(f"lane: expected a centre line (n, 3) with n >= 2, got shape {shape}")
        if not (np.isfinite(self.centre).all() and np.isfinite(self.width) and self.width > 0.0):
            raise InputError(
                f"lane: expected a finite centre line and a width above 0 m, got width {self.width}"
            )


@dataclass(frozen=True)
class LaneRelation:
    """offset: (N, 9) [m] to the left of its line at 0, 0.5 .. 4 s; heading: (N, 9) [rad] against
    it; width [m] of a lane."""

    offset: F64
    heading: F64
    width: float


def steady_road(poses: F64, steps: F64, yaw: F64) -> LaneRelation:
    """Of many trajectories (N, 8, 3): the circular arc that starts along the car, is as long as its
    way and turns as much in all. steps: (N, 8) [m]; yaw: (N, 9) unwrapped."""
    s = np.concatenate([np.zeros((len(poses), 1)), np.cumsum(steps, axis=1)], axis=1)
    length = np.maximum(s[:, -1:], 1e-6)
    angle = yaw[:, -1:] * s / length
    half = angle / 2.0
    chord = s * np.sinc(half / np.pi)
    at = np.concatenate([np.zeros_like(poses[:, :1]), poses], axis=1)
    dx, dy = at[..., 0] - chord * np.cos(half), at[..., 1] - chord * np.sin(half)
    return LaneRelation(np.cos(angle) * dy - np.sin(angle) * dx, yaw - angle, USUAL_WIDTH_M)


def road_of_lane(poses: F64, lane: OwnLane) -> LaneRelation:
    """Of one trajectory (8, 3): its feet on the centre line."""
    at = np.concatenate([np.zeros((1, 3)), poses])
    begin, along = lane.centre[:-1], np.diff(lane.centre, axis=0)
    squared = np.maximum(along[:, 0] ** 2 + along[:, 1] ** 2, 1e-12)
    dx = at[:, None, 0] - begin[:, 0]
    dy = at[:, None, 1] - begin[:, 1]
    foot = (dx * along[:, 0] + dy * along[:, 1]) / squared
    lowest, highest = np.zeros(len(begin)), np.ones(len(begin))
    lowest[0], highest[-1] = -np.inf, np.inf
    part = np.clip(foot, lowest, highest)
    gap = np.hypot(dx - part * along[:, 0], dy - part * along[:, 1])
    k, rows = gap.argmin(axis=1), np.arange(len(at))
    part = np.clip(part[rows, k], 0.0, 1.0)
    cross = along[k, 0] * dy[rows, k] - along[k, 1] * dx[rows, k]
    direction = begin[k, 2] + part * wrap_angle(along[k, 2])
    offset = np.sign(cross) * gap[rows, k]
    return LaneRelation(offset[None], wrap_angle(at[:, 2] - direction)[None], float(lane.width))
