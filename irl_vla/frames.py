"""SE(2) and SE(3), and the lines, boxes and angles of the plane, for whole arrays; their twins in
compiled code are in scoring.geometry.

A transform `target_from_source` is a (4, 4) float64 matrix that takes points of the source frame
into the target
frame, so products read like the chain: ego_from_cam = ego_from_base @ base_from_cam. A planar pose
is (x, y, yaw).
Quaternions are ROS's (x, y, z, w). May import: nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from transforms3d.quaternions import mat2quat, quat2mat

from irl_vla.types import F64, InputError


def wrap_angle(angle: ArrayLike) -> F64:
    """Angles [rad] to [-pi, pi)."""
    return np.asarray((np.asarray(angle, np.float64) + np.pi) % (2 * np.pi) - np.pi)


def principal_angle(angle: ArrayLike) -> F64:
    """Angles [rad] to (-pi, pi], by their sine and cosine, as the NAVSIM devkit does it: what must
    agree with it to the last digit, or keeps half a turn positive, goes through here."""
    return np.asarray(np.arctan2(np.sin(angle), np.cos(angle)))


def rigid(rotation: F64, translation: ArrayLike) -> F64:
    """(3, 3) rotation and (3,) translation -> (4, 4) transform."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def rigid_from_quaternion(translation: Sequence[float], xyzw: Sequence[float]) -> F64:
    """Translation [m] and quaternion (x, y, z, w), normalised here, -> (4, 4) transform."""
    x, y, z, w = (float(v) for v in xyzw)
    norm = float(np.sqrt(x * x + y * y + z * z + w * w))
    if not np.isfinite(norm) or norm < 1e-6 or not np.all(np.isfinite(translation)):
        raise InputError(
            "transform: expected finite numbers and a unit quaternion, got translation "
            f"{list(translation)} and quaternion {list(xyzw)} (x y z w)"
        )
    return rigid(
        np.asarray(quat2mat([w / norm, x / norm, y / norm, z / norm])),
        np.asarray(translation, np.float64),
    )


def quaternion_xyzw(transform: F64) -> tuple[float, float, float, float]:
    """Rotation of a (4, 4) transform as a quaternion (x, y, z, w) with w >= 0."""
    w, x, y, z = (float(v) for v in mat2quat(transform[:3, :3]))
    return x, y, z, w


def inverse(target_from_source: F64) -> F64:
    """source_from_target, exact for rigid transforms: transpose instead of a matrix inversion."""
    rotation = target_from_source[:3, :3].T
    return rigid(rotation, -rotation @ target_from_source[:3, 3])


def move(points_source: F64, target_from_source: F64) -> F64:
    """(..., 3) points in the source frame -> (..., 3) in the target frame."""
    return np.asarray(points_source @ target_from_source[:3, :3].T + target_from_source[:3, 3])


def yaw_of(transform: F64) -> float:
    """Heading [rad] of the x axis in the ground plane."""
    return float(np.arctan2(transform[1, 0], transform[0, 0]))


def rigid_from_pose(pose: ArrayLike, z: float = 0.0) -> F64:
    """Planar pose (x, y, yaw) -> (4, 4) transform: outer_from_pose."""
    x, y, yaw = np.asarray(pose, np.float64)
    cos, sin = np.cos(yaw), np.sin(yaw)
    return rigid(np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]), (x, y, z))


def pose_of(transform: F64) -> F64:
    """(4, 4) transform -> planar pose (x, y, yaw)."""
    return np.array([transform[0, 3], transform[1, 3], yaw_of(transform)])


def to_outer(poses_inner: F64, inner_pose: ArrayLike) -> F64:
    """(..., 3) poses in a frame that stands at `inner_pose` -> (..., 3) poses in the outer frame;
    yaw is wrapped."""
    x0, y0, yaw0 = np.asarray(inner_pose, np.float64)
    cos, sin = np.cos(yaw0), np.sin(yaw0)
    x, y, yaw = np.moveaxis(np.asarray(poses_inner, np.float64), -1, 0)
    return np.stack(
        [x0 + cos * x - sin * y, y0 + sin * x + cos * y, wrap_angle(yaw0 + yaw)], axis=-1
    )


def to_inner(poses_outer: F64, inner_pose: ArrayLike) -> F64:
    """(..., 3) poses in the outer frame -> (..., 3) in the frame that stands at `inner_pose`;
    undoes `to_outer`."""
    x0, y0, yaw0 = np.asarray(inner_pose, np.float64)
    cos, sin = np.cos(yaw0), np.sin(yaw0)
    x, y, yaw = np.moveaxis(np.asarray(poses_outer, np.float64), -1, 0)
    dx, dy = x - x0, y - y0
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx, wrap_angle(yaw - yaw0)], axis=-1)


def ahead_of(pose: F64, distance: float) -> F64:
    """(2,) the point `distance` metres ahead of a pose (>= 3,)."""
    return np.asarray(pose[:2] + distance * np.array([np.cos(pose[2]), np.sin(pose[2])]))


def box_corners(poses: F64, sizes: F64) -> F64:
    """(n, 4, 2) corners front left, rear left, rear right, front right of boxes: poses (n, >= 3)
    of their middles, sizes (n, >= 2) or (1, >= 2) length, width [m]."""
    cos, sin = np.cos(poses[:, 2:3]), np.sin(poses[:, 2:3])
    x = sizes[:, 0:1] * (np.array([1, -1, -1, 1]) / 2.0)
    y = sizes[:, 1:2] * (np.array([1, 1, -1, -1]) / 2.0)
    return np.stack([poses[:, 0:1] + x * cos - y * sin, poses[:, 1:2] + x * sin + y * cos], axis=-1)


def step_lengths(line: ArrayLike) -> F64:
    """(n - 1,) length [m] of each step of a line (n, >= 2), in the plane."""
    return np.asarray(np.hypot(*np.diff(np.asarray(line, np.float64)[:, :2], axis=0).T))


def arc_lengths(line: ArrayLike) -> F64:
    """(n,) way [m] from the first point of a line (n, >= 2) to each of its points."""
    return np.concatenate([[0.0], np.cumsum(step_lengths(line))])


def evenly_along(line: F64, count: int) -> F64:
    """(count, 2) points at equal shares of the length of a line (n, >= 2), both ends included."""
    arcs = arc_lengths(line)
    at = np.linspace(0.0, arcs[-1], count)
    return np.column_stack([np.interp(at, arcs, line[:, i]) for i in (0, 1)])


def interpolate_rigid(first: F64, second: F64, fraction: float) -> F64:
    """Between two transforms: straight line for the position, shortest arc for the rotation.
    fraction 0 -> first."""
    p, q = np.asarray(mat2quat(first[:3, :3])), np.asarray(mat2quat(second[:3, :3]))
    dot = float(p @ q)
    if dot < 0.0:  # q and -q are the same rotation; take the near one
        q, dot = -q, -dot
    angle = float(np.arccos(min(dot, 1.0)))
    if angle < 1e-6:
        mixed = (1.0 - fraction) * p + fraction * q
    else:
        mixed = (np.sin((1.0 - fraction) * angle) * p + np.sin(fraction * angle) * q) / np.sin(
            angle
        )
    position = (1.0 - fraction) * first[:3, 3] + fraction * second[:3, 3]
    return rigid(np.asarray(quat2mat(mixed / np.linalg.norm(mixed))), position)
