"""CameraInfo and tf of a bag -> the base frame, where every camera sits, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from irl_vla.camera.camera import Camera, Region, camera_from_info
from irl_vla.camera.lens_models import CameraModel
from irl_vla.frames import rigid, rigid_from_quaternion
from irl_vla.messages.tf_tree import TransformTree, frame_name
from irl_vla.messages.topics import ChosenTopics, is_rectified
from irl_vla.types import F64, InputError

BASE_FRAMES = ("base_link", "base_footprint", "rear_axle", "ego_vehicle")  # in order of preference
NO_DISTORTION = (  # names of the RealSense SDK for lenses that are none while all numbers are zero
    "none", "brown conrady", "inverse brown conrady", "modified brown conrady", "kannala brandt4",
)  # fmt: skip
FOCAL_APART = 0.02  # of K and P where there is no distortion
GIVE_RIG = "Or give a rig file: irl-vla ... --rig FILE, ros2 launch ... rig:=FILE"
WORLD_FRAMES = ("odom", "map", "world", "earth")  # odom first: it never jumps


@dataclass
class Calibration:
    """What the head of a bag tells about geometry.

    missing: plain sentences, one per camera that cannot be placed
    notes: what was taken in place of something that is not there
    image_frames: camera -> frame_id of its pictures, for a CameraInfo that has none
    """

    tree: TransformTree
    base_frame: str
    cameras: dict[str, Camera] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    image_frames: Mapping[str, str] = field(default_factory=dict)


def calibrate(
    tree: TransformTree, infos: Mapping[str, Any], odometry_child: str, chosen: ChosenTopics,
    image_frames: Mapping[str, str] | None = None,
) -> Calibration:  # fmt: skip
    """infos: camera name -> its first CameraInfo; odometry_child: child_frame_id of the odometry,
    "" where there is none; image_frames: camera name -> frame_id of its pictures."""
    frames = image_frames or {}
    base = _base_frame(tree, infos, odometry_child, chosen)
    result = Calibration(tree, base, image_frames=frames)
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
            frame = frames.get(name, "")
            result.cameras[name] = camera_of(name, infos[name], tree, base, rectified, frame)
            if frame and not frame_of(infos[name]):
                result.notes.append(
                    f"camera '{name}': its CameraInfo names no frame; that of its pictures, "
                    f"'{frame}', is taken"
                )
        except InputError as error:
            result.missing.append(str(error))
    return result


def camera_of(
    name: str, info: Any, tree: TransformTree, base_frame: str, rectified: bool,
    image_frame: str = "",
) -> Camera:  # fmt: skip
    """Camera of a CameraInfo message. rectified: the pictures are those that P describes;
    image_frame: frame of the pictures, for a CameraInfo that names none."""
    frame = frame_name(frame_of(info) or image_frame)
    ego_from_cam = tree.find(base_frame, frame) if frame else None
    if ego_from_cam is None:
        known = ", ".join(tree.frames[:12]) or "no frame at all"
        raise InputError(
            f"camera '{name}': its CameraInfo is in frame '{frame}', and tf does not say where "
            f"that is from '{base_frame}' (tf knows {known}). Publish it on /tf_static. {GIVE_RIG}"
        )
    d, k = (np.asarray(_field(info, key), np.float64) for key in "dk")
    p = np.asarray(_field(info, "p"), np.float64).reshape(3, 4)[:, :3]
    undistorted = rectified and bool(np.any(p))
    if undistorted:
        cam_from_rectified = np.asarray(_field(info, "r"), np.float64).reshape(3, 3).T
        if np.any(cam_from_rectified):
            ego_from_cam = ego_from_cam @ rigid(cam_from_rectified, (0.0, 0.0, 0.0))
        d, k = np.zeros(0), p.reshape(-1)  # whatever the lens was: these pixels are a pinhole's
    binning, roi = _reading(info)
    model = str(info.distortion_model)
    if undistorted or (model.lower() in NO_DISTORTION and not np.any(d)):
        model = CameraModel.PLUMB_BOB
    return camera_from_info(
        name, int(info.width), int(info.height), model, tuple(d), tuple(k), ego_from_cam,
        binning=binning, roi=Region(*roi),
    )  # fmt: skip


def contradictions(infos: Mapping[str, Any], chosen: ChosenTopics) -> list[str]:
    """What in a CameraInfo contradicts itself or the topic's name, one sentence a camera."""
    said = []
    for name, info in infos.items():
        d, k = (np.asarray(_field(info, key), np.float64).reshape(-1) for key in "dk")
        p = np.asarray(_field(info, "p"), np.float64).reshape(3, 4)[:, :3].reshape(-1)
        undistorted = is_rectified(chosen.cameras[name].image)
        if undistorted and np.any(d) and not np.any(p):
            said.append(
                f"camera '{name}': its topic says that pictures are undistorted, its CameraInfo "
                "has D and no P; K and D are used"
            )
        elif not undistorted and not np.any(d) and np.any(p) and np.any(k):
            apart = float(np.abs(p[[0, 4]] / k[[0, 4]] - 1.0).max()) if np.all(k[[0, 4]]) else 0.0
            if apart > FOCAL_APART:
                said.append(
                    f"camera '{name}': K and P of its CameraInfo differ by {100 * apart:.0f} % in "
                    "focal length, although there is no distortion between them; K is used"
                )
    return said


def frame_of(message: Any) -> str:
    """frame_id of a ROS message with a header, or of a foxglove one."""
    return str(message.header.frame_id if hasattr(message, "header") else message.frame_id)


def _reading(info: Any) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Binning and region of a CameraInfo; foxglove's has none."""
    if not hasattr(info, "roi"):
        return (0, 0), (0, 0, 0, 0)
    roi = info.roi
    region = (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height))
    return (int(info.binning_x), int(info.binning_y)), region


def _field(info: Any, key: str) -> Any:
    """ROS 1 writes D K R P, ROS 2 d k r p."""
    return getattr(info, key) if hasattr(info, key) else getattr(info, key.upper())


def info_content(info: Any) -> tuple[Any, ...]:
    """Everything of a CameraInfo but its stamp, to notice a change."""
    binning, region = _reading(info)
    # as bytes, for NaN is not NaN: a broken CameraInfo would be a change at every message
    numbers = tuple(np.asarray(_field(info, key), np.float64).tobytes() for key in "dkrp")
    return (
        frame_of(info), info.width, info.height, info.distortion_model, numbers, binning, region,
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
    roots = [tree.chain(frame_name(frame_of(info)))[-1] for info in infos.values()]
    return roots[0] if roots and roots[0] in tree.frames else BASE_FRAMES[0]
