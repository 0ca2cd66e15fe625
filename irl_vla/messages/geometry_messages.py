"""Our values -> standard ROS messages for RViz, Foxglove and any other node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irl_vla.camera.camera import Camera
from irl_vla.frames import quaternion_xyzw, rigid_from_pose
from irl_vla.messages.messages import header, new
from irl_vla.types import F64, SECOND_NS, Boxes3D, EgoMotion, Trajectory

CUBE, LINE_STRIP, DELETE_ALL = 1, 4, 3  # visualization_msgs/Marker: two types and an action
UNKNOWN_TWIST = -1.0  # first covariance of a twist that nobody measured
UNKNOWN_COVARIANCE = np.zeros(36)  # all zero means "not known"


@dataclass(frozen=True)
class Colour:
    """Parts of 1; a: opacity."""

    r: float
    g: float
    b: float
    a: float = 1.0


@dataclass(frozen=True)
class BoxMarkers:
    """Boxes to draw, ego frame."""

    namespace: str
    boxes: Boxes3D
    colour: Colour


@dataclass(frozen=True)
class LineMarkers:
    """Lines to draw, ego frame. lines: (K, T, 3) points x y z [m]; width_m: of the stroke"""

    namespace: str
    lines: F64
    colour: Colour
    width_m: float = 0.1


def camera_info_message(camera: Camera, stamp_ns: int, frame_id: str) -> Any:
    """Camera -> sensor_msgs/CameraInfo of its whole picture. A rectified picture would have the
    same K in P."""
    projection = np.zeros((3, 4))
    projection[:, :3] = camera.intrinsics
    return new(
        "sensor_msgs/msg/CameraInfo",
        header=header(stamp_ns, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model=camera.model,
        d=np.array(camera.distortion),
        k=np.array(camera.intrinsics).reshape(-1),
        r=np.eye(3).reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=new(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False,
        ),
    )  # fmt: skip


def transform_message(parent: str, child: str, parent_from_child: F64, stamp_ns: int) -> Any:
    """One edge of tf -> geometry_msgs/TransformStamped."""
    x, y, z = (float(v) for v in parent_from_child[:3, 3])
    return new(
        "geometry_msgs/msg/TransformStamped",
        header=header(stamp_ns, parent),
        child_frame_id=child,
        transform=new(
            "geometry_msgs/msg/Transform",
            translation=_vector(x, y, z),
            rotation=_quaternion(parent_from_child),
        ),
    )


def odometry_message(motion: EgoMotion, world_frame: str, base_frame: str) -> Any:
    """EgoMotion -> nav_msgs/Odometry. An unknown twist is marked by a first covariance of -1, as in
    sensor_msgs/Imu."""
    vx, vy, yaw_rate = (0.0,) * 3 if motion.twist is None else (float(v) for v in motion.twist)
    twist_covariance = UNKNOWN_COVARIANCE.copy()
    twist_covariance[0] = UNKNOWN_TWIST if motion.twist is None else 0.0
    return new(
        "nav_msgs/msg/Odometry",
        header=header(motion.stamp_ns, world_frame),
        child_frame_id=base_frame,
        pose=new(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=pose_message(motion.world_from_ego),
            covariance=UNKNOWN_COVARIANCE,
        ),
        twist=new(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=new(
                "geometry_msgs/msg/Twist",
                linear=_vector(vx, vy, 0.0),
                angular=_vector(0.0, 0.0, yaw_rate),
            ),
            covariance=twist_covariance,
        ),
    )


def path_message(trajectory: Trajectory, stamp_ns: int, frame_id: str) -> Any:
    """Trajectory (T, 3) -> nav_msgs/Path; each pose is stamped with the time it is meant for."""
    step_ns = round(trajectory.step_s * SECOND_NS)
    return new(
        "nav_msgs/msg/Path",
        header=header(stamp_ns, frame_id),
        poses=[
            new(
                "geometry_msgs/msg/PoseStamped",
                header=header(stamp_ns + (index + 1) * step_ns, frame_id),
                pose=pose_message(rigid_from_pose(pose)),
            )
            for index, pose in enumerate(trajectory.poses)
        ],
    )


def detections_message(boxes: Boxes3D, stamp_ns: int, frame_id: str) -> Any:
    """Boxes -> vision_msgs/Detection3DArray. Velocities have no place in it."""
    detections = []
    for index in range(len(boxes)):
        hypothesis = new(
            "vision_msgs/msg/ObjectHypothesis", class_id=boxes.labels[index], score=1.0
        )
        pose = new(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=_box_pose(boxes, index), covariance=UNKNOWN_COVARIANCE,
        )  # fmt: skip
        detections.append(
            new(
                "vision_msgs/msg/Detection3D",
                header=header(stamp_ns, frame_id),
                results=[
                    new(
                        "vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=pose
                    )
                ],
                bbox=new(
                    "vision_msgs/msg/BoundingBox3D",
                    center=_box_pose(boxes, index),
                    size=_vector(*(float(v) for v in boxes.sizes[index])),
                ),
                id=boxes.ids[index] if boxes.ids else "",
            )
        )
    return new(
        "vision_msgs/msg/Detection3DArray", header=header(stamp_ns, frame_id), detections=detections
    )


def marker_array_message(
    markers: list[BoxMarkers | LineMarkers], stamp_ns: int, frame_id: str
) -> Any:
    """Everything to draw at one stamp -> visualization_msgs/MarkerArray that first clears what was
    drawn before."""
    found = [_marker(stamp_ns, frame_id, "", 0, action=DELETE_ALL)]
    for group in markers:
        if isinstance(group, BoxMarkers):
            for index in range(len(group.boxes)):
                length, width, height = (float(v) for v in group.boxes.sizes[index])
                found.append(
                    _marker(
                        stamp_ns, frame_id, group.namespace, index, kind=CUBE,
                        pose=_box_pose(group.boxes, index), colour=group.colour,
                        scale=(length, width, height),
                    )
                )  # fmt: skip
        else:
            found += [
                _marker(
                    stamp_ns, frame_id, group.namespace, index, kind=LINE_STRIP,
                    colour=group.colour, scale=(group.width_m, 0.0, 0.0), points=line,
                )
                for index, line in enumerate(group.lines)
            ]  # fmt: skip
    return new("visualization_msgs/msg/MarkerArray", markers=found)


def _marker(
    stamp_ns: int,
    frame_id: str,
    namespace: str,
    number: int,
    *,
    kind: int = CUBE,
    action: int = 0,
    pose: Any = None,
    colour: Colour | None = None,
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
    points: F64 | None = None,
) -> Any:
    shade = colour or Colour(1.0, 1.0, 1.0)
    image = new("sensor_msgs/msg/CompressedImage", header=header(0, ""), format="", data=_NO_BYTES)
    return new(
        "visualization_msgs/msg/Marker",
        header=header(stamp_ns, frame_id),
        ns=namespace, id=number, type=kind, action=action,
        pose=pose or pose_message(np.eye(4)),
        scale=_vector(*scale),
        color=new("std_msgs/msg/ColorRGBA", r=shade.r, g=shade.g, b=shade.b, a=shade.a),
        lifetime=new("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
        frame_locked=True,
        points=[
            new("geometry_msgs/msg/Point", x=float(p[0]), y=float(p[1]), z=float(p[2]))
            for p in (() if points is None else points)
        ],
        colors=[], texture_resource="", texture=image, uv_coordinates=[], text="",
        mesh_resource="", mesh_use_embedded_materials=False,
        mesh_file=new("visualization_msgs/msg/MeshFile", filename="", data=_NO_BYTES),
    )  # fmt: skip


_NO_BYTES = np.zeros(0, np.uint8)


def pose_message(transform: F64) -> Any:
    """(4, 4) -> geometry_msgs/Pose; a transform that is not finite stays so."""
    x, y, z = (float(v) for v in transform[:3, 3])
    return new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=_quaternion(transform),
    )


def _box_pose(boxes: Boxes3D, index: int) -> Any:
    x, y, z = (float(v) for v in boxes.centers[index])
    return pose_message(rigid_from_pose((x, y, float(boxes.yaws[index])), z))


def _quaternion(transform: F64) -> Any:
    if np.all(np.isfinite(transform)):
        x, y, z, w = quaternion_xyzw(transform)
    else:
        x = y = z = w = float("nan")
    return new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def _vector(x: float, y: float, z: float) -> Any:
    return new("geometry_msgs/msg/Vector3", x=x, y=y, z=z)
