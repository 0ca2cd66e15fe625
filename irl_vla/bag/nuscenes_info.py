"""nuScenes samples as an "info" JSON beside six pictures -> pictures, rig, pose and boxes.

Format: mmdetection3d's info files, version 1.1 (docs/en/advanced_guides/datasets/nuscenes.md).
Boxes are x y z l w h yaw in the *lidar* frame (x right, y forward, z up), z at the centre, yaw
counter-clockwise from the lidar's x axis: checked on scene-0061, where a car's yaw and velocity
point the same way and boxes stand on the ground. Velocities are in the lidar frame as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.bag.folder_recording import FolderRecording, PictureFile
from irl_vla.bag.json_file import read_json, shape_of
from irl_vla.camera.camera import Camera
from irl_vla.camera.lens_models import CameraModel
from irl_vla.camera.rig import Rig
from irl_vla.frames import move, rigid
from irl_vla.paths import inside
from irl_vla.types import F64, SECOND_NS, Boxes3D, EgoMotion, InputError

WIDTH, HEIGHT = 1600, 900  # [px] of every nuScenes camera (nuscenes.org, sensor setup)


def is_nuscenes(folder: Path) -> bool:
    """Whether a folder holds pictures with nuScenes names and a JSON."""
    return folder.is_dir() and any(folder.glob("*__CAM_*")) and any(folder.glob("*.json"))


def open_nuscenes(folder: Path) -> FolderRecording:
    """Every sample of the info JSON in `folder`. Raises InputError."""
    path = sorted(folder.glob("*.json"))[0]
    content = read_json(path)
    moments: list[PictureFile | EgoMotion] = []
    boxes: dict[int, Boxes3D] = {}
    cameras: dict[str, Camera] = {}
    with shape_of(path, "a nuScenes info file"):
        labels = {number: name for name, number in content["metainfo"]["categories"].items()}
        for sample in content["data_list"]:
            stamp = _nanoseconds(sample["timestamp"])
            world_from_ego = np.asarray(sample["ego2global"], np.float64)
            moments.append(EgoMotion(stamp, _exact(world_from_ego), None, "nuScenes ego2global"))
            boxes[stamp] = _boxes(sample, labels)
            for name, image in sample["images"].items():
                cameras.setdefault(name, _camera(name, image))
                picture = inside(folder, image["img_path"], f"images.{name}.img_path")
                picture = folder / picture.name  # the folder holds a sample, flat
                moments.append(PictureFile(name, _nanoseconds(image["timestamp"]), picture))
        rig = Rig("nuscenes", tuple(cameras.values()))
    return FolderRecording(folder, "nuscenes", tuple(moments), rig, boxes)


def _nanoseconds(seconds: float) -> int:
    """The file has microseconds as a float of seconds."""
    return round(float(seconds) * 1e6) * (SECOND_NS // 1_000_000)


def _camera(name: str, image: Mapping[str, Any]) -> Camera:
    intrinsics = np.asarray(image["cam2img"], np.float64)[:3, :3]
    ego_from_cam = _exact(np.asarray(image["cam2ego"], np.float64))
    return Camera(name, WIDTH, HEIGHT, CameraModel.PLUMB_BOB, intrinsics, np.zeros(0), ego_from_cam)


def _exact(transform: F64) -> F64:
    """The file holds float32 rotations; the nearest true rotation (SVD)."""
    if transform.shape != (4, 4) or not np.all(np.isfinite(transform)):
        raise InputError(f"expected a finite 4x4 transform, got shape {transform.shape}")
    u, _, vt = np.linalg.svd(transform[:3, :3])
    return rigid(u @ vt, transform[:3, 3])


def _boxes(sample: Mapping[str, Any], labels: Mapping[int, str]) -> Boxes3D:
    ego_from_lidar = _exact(np.asarray(sample["lidar_points"]["lidar2ego"], np.float64))
    known = sample["instances"]  # also those that no lidar point hit (bbox_3d_isvalid: false)
    numbers = np.array([box["bbox_3d"] for box in known], np.float64).reshape(-1, 7)
    velocities = np.array([box["velocity"] for box in known], np.float64).reshape(-1, 2)
    turn = ego_from_lidar[:3, :3]
    heading = np.stack([np.cos(numbers[:, 6]), np.sin(numbers[:, 6]), 0 * numbers[:, 6]], -1)
    heading_ego = heading @ turn.T
    velocities_ego = velocities @ turn[:2, :2].T
    names = tuple(labels.get(box["bbox_label_3d"], "unknown") for box in known)
    return Boxes3D(
        move(numbers[:, :3], ego_from_lidar), numbers[:, 3:6],
        np.arctan2(heading_ego[:, 1], heading_ego[:, 0]), velocities_ego, names,
    )  # fmt: skip
