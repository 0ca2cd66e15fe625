"""CameraInfo and tf of a bag -> the base frame, where every camera sits, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from irl_vla.camera.camera import Camera, Region, camera_from_info
from irl_vla.frames import rigid, rigid_from_quaternion
from irl_vla.messages.tf_tree import TransformTree, frame_name
from irl_vla.messages.topics import ChosenTopics, is_rectified
from irl_vla.types import F64, InputError

BASE_FRAMES = ("base_link", "base_footprint", "rear_axle", "ego_vehicle")  # in order of preference
GIVE_RIG = "Or give a rig file: irl-vla ... --rig FILE, ros2 launch ... rig:=FILE"
WORLD_FRAMES = ("odom", "map", "world", "earth")  # odom first: it never jumps


@dataclass
class Calibration:
    """What the head of a bag tells about geometry.

    missing: plain sentences, one per camera that cannot be placed
    """

    tree: TransformTree
    base_frame: str
    cameras: dict[str, Camera] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def calibrate(
    tree: TransformTree, infos: Mapping[str, Any], odometry_child: str, chosen: ChosenTopics
) -> Calibration:
    """infos: camera name -> its first CameraInfo; odometry_child: child_frame_id of the odometry,
    "" where there is none."""
    base = _base_frame(tree, infos, odometry_child, chosen)
    result = Calibration(tree, base)
    for name, topics in chosen.cameras.items():
        if name not in infos:
            wanted = topics.camera_info or f"{topics.image.rsplit('/', 1)[0]}/camera_info"
            result.missing.append(
                f"no CameraInfo for camera {name}: expected sensor_msgs/CameraInfo, for example on "
                f"{wanted}. {GIVE_RIG}"
            )
            continue
        try:
            rectified = is_rectified(topics.image)
            result.cameras[name] = camera_of(name, infos[name], tree, base, rectified)
        except InputError as error:
            result.missing.append(str(error))
    return result


def camera_of(
    name: str, info: Any, tree: TransformTree, base_frame: str, rectified: bool
) -> Camera:
    """Camera of a CameraInfo message. rectified: the pictures are those that P describes."""
    frame = frame_name(info.header.frame_id)
    ego_from_cam = tree.find(base_frame, frame) if frame else None
    if ego_from_cam is None:
        known = ", ".join(tree.frames[:12]) or "no frame at all"
        raise InputError(
            f"camera '{name}': its CameraInfo is in frame '{frame}', and tf does not say where "
            f"that is from '{base_frame}' (tf knows {known}). Publish it on /tf_static. {GIVE_RIG}"
        )
    d, k = (np.asarray(_field(info, key), np.float64) for key in "dk")
    p = np.asarray(_field(info, "p"), np.float64).reshape(3, 4)[:, :3]
    if rectified and np.any(p):
        cam_from_rectified = np.asarray(_field(info, "r"), np.float64).reshape(3, 3).T
        if np.any(cam_from_rectified):
            ego_from_cam = ego_from_cam @ rigid(cam_from_rectified, (0.0, 0.0, 0.0))
        d, k = np.zeros(0), p.reshape(-1)
    roi = info.roi
    return camera_from_info(
        name, int(info.width), int(info.height), str(info.distortion_model), tuple(d), tuple(k),
        ego_from_cam, binning=(int(info.binning_x), int(info.binning_y)),
        roi=Region(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
    )  # fmt: skip


def _field(info: Any, key: str) -> Any:
    """ROS 1 writes D K R P, ROS 2 d k r p."""
    return getattr(info, key) if hasattr(info, key) else getattr(info, key.upper())


def info_content(info: Any) -> tuple[Any, ...]:
    """Everything of a CameraInfo but its stamp, to notice a change."""
    roi = info.roi
    # as bytes, for NaN is not NaN: a broken CameraInfo would be a change at every message
    numbers = tuple(np.asarray(_field(info, key), np.float64).tobytes() for key in "dkrp")
    return (
        info.header.frame_id, info.width, info.height, info.distortion_model, numbers,
        info.binning_x, info.binning_y, (roi.x_offset, roi.y_offset, roi.width, roi.height),
    )  # fmt: skip


def put_transforms(tree: TransformTree, message: Any) -> list[tuple[str, Any]]:
    """Take a TFMessage into the tree; returns (child frame, header) of each transform that is
    made of finite numbers."""
    taken = []
    for stamped in message.transforms:
        parent, child = frame_name(stamped.header.frame_id), frame_name(stamped.child_frame_id)
        try:
            tree.put(parent, child, transform_of(stamped.transform))
        except InputError:
            continue
        taken.append((child, stamped.header))
    return taken


def transform_of(transform: Any) -> F64:
    """geometry_msgs/Transform -> (4, 4). Raises InputError for numbers that are no transform."""
    t, q = transform.translation, transform.rotation
    return rigid_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def pose_matrix(pose: Any) -> F64:
    """geometry_msgs/Pose -> (4, 4). Raises InputError for numbers that are no pose."""
    t, q = pose.position, pose.orientation
    return rigid_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def world_frame(tree: TransformTree, base_frame: str) -> str | None:
    """The fixed frame above the base frame that ego motion is measured in."""
    above = tree.chain(base_frame)[1:]
    return next((name for name in WORLD_FRAMES if name in above), above[-1] if above else None)


def _base_frame(
    tree: TransformTree, infos: Mapping[str, Any], odometry_child: str, chosen: ChosenTopics
) -> str:
    """Given, else base_link or a name like it, else what the odometry moves, else the root above
    the cameras."""
    known = (*tree.frames, odometry_child)
    if chosen.base_frame is not None:
        return frame_name(chosen.base_frame)
    for name in BASE_FRAMES:
        if name in known:
            return name
    if odometry_child:
        return odometry_child
    roots = [tree.chain(frame_name(info.header.frame_id))[-1] for info in infos.values()]
    return roots[0] if roots and roots[0] in tree.frames else BASE_FRAMES[0]
