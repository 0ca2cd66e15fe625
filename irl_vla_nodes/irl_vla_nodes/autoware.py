"""The driven trajectory as Autoware's controllers read it, where autoware_planning_msgs is
installed. Filled through the installed class: the definition is theirs. No ROS but that class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irl_vla.frames import quaternion_xyzw, rigid_from_pose, wrap_angle
from irl_vla.types import SECOND_NS, Trajectory

TRAJECTORY_TYPE = "autoware_planning_msgs/msg/Trajectory"
POINT_TYPE = "autoware_planning_msgs/msg/TrajectoryPoint"


@dataclass(frozen=True)
class Point:
    """One pose of a trajectory [m, rad], when it is reached [s], and how the car moves there:
    speed along it [m/s], its change [m/s^2], heading rate [rad/s]."""

    time_s: float
    pose: tuple[float, float, float]
    speed: float
    acceleration: float
    heading_rate: float


def points_of(trajectory: Trajectory) -> list[Point]:
    """The ego's pose now, then those of the trajectory; motion is that of the interval that begins
    there, at the last pose the car carries on."""
    poses = np.vstack([np.zeros(3), trajectory.poses])
    step = trajectory.step_s
    moved = np.diff(poses, axis=0)
    forward = np.where(moved[:, 0] * np.cos(poses[:-1, 2]) >= -1e-6, 1.0, -1.0)
    speed = forward * np.hypot(moved[:, 0], moved[:, 1]) / step
    turn = np.asarray(wrap_angle(moved[:, 2])) / step
    speed, turn = np.append(speed, speed[-1]), np.append(turn, turn[-1])
    change = np.append(np.diff(speed) / step, 0.0)
    return [
        Point(i * step, (float(x), float(y), float(yaw)), float(v), float(a), float(w))
        for i, ((x, y, yaw), v, a, w) in enumerate(zip(poses, speed, change, turn, strict=True))
    ]


def trajectory_to_autoware(
    trajectory: Trajectory, stamp_ns: int, frame_id: str, kind: type, point_kind: type
) -> Any:
    """Trajectory -> autoware_planning_msgs/Trajectory. kind, point_kind: the installed classes."""
    message = kind()
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND_NS)
    message.points = [_point(point, point_kind()) for point in points_of(trajectory)]
    return message


def _point(point: Point, message: Any) -> Any:
    nanoseconds = round(point.time_s * SECOND_NS)
    message.time_from_start.sec, message.time_from_start.nanosec = divmod(nanoseconds, SECOND_NS)
    x, y, z, w = quaternion_xyzw(rigid_from_pose(np.array(point.pose)))
    place, turn = message.pose.position, message.pose.orientation
    place.x, place.y, place.z = float(point.pose[0]), float(point.pose[1]), 0.0
    turn.x, turn.y, turn.z, turn.w = float(x), float(y), float(z), float(w)
    message.longitudinal_velocity_mps = float(point.speed)
    message.acceleration_mps2 = float(point.acceleration)
    message.heading_rate_rps = float(point.heading_rate)
    return message
