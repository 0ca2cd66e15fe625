"""Pixels of a frame: its images as a FrameSet. Lidar is not read.

Paths come from the frame, never from its token: image files are named by image tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.camera.preprocess import decode
from irl_vla.foreign import read_whole
from irl_vla.frames import rigid
from irl_vla.navsim.dataset import Dataset
from irl_vla.navsim.filters import NavsimSplit
from irl_vla.navsim.records import LogFrame, SceneWindow
from irl_vla.paths import inside
from irl_vla.types import F64, U8, CameraImage, FrameSet, InputError

CAMERAS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")


def sensor_root(dataset: Dataset, split: NavsimSplit, window: SceneWindow) -> Path:
    """Where the sensor files of a window lie: follow-ups have a tree of their own."""
    if window.is_follow_up:
        return dataset.follow_up_sensors(split.name)
    return dataset.sensors(split.data_split)


def camera_geometry(raw: Mapping[str, Any]) -> tuple[F64, F64, F64]:
    """Intrinsics (3, 3), distortion (5,) k1 k2 p1 p2 k3, ego_from_cam (4, 4).

    The file says "sensor2lidar"; nuPlan fills it with camera -> ego, and navsim treats the lidar
    frame as the ego frame, whatever lidar2ego says.
    """
    return (
        np.asarray(raw["cam_intrinsic"], np.float64),
        np.asarray(raw["distortion"], np.float64),
        rigid(
            np.asarray(raw["sensor2lidar_rotation"], np.float64),
            np.asarray(raw["sensor2lidar_translation"], np.float64),
        ),
    )


def image_path(root: Path, frame: LogFrame, camera: str) -> Path:
    """The JPEG of one camera. Raises InputError where the frame has no such camera or file."""
    raw = frame.cameras.get(camera)
    if not raw:
        raise InputError(
            f"{frame.where} (token {frame.token}): there is no camera '{camera}' (empty in the "
            "file, which happens in follow-ups). Ask for the cameras that are there: "
            f"{', '.join(name for name, entry in frame.cameras.items() if entry) or 'none'}."
        )
    path = inside(root, raw["data_path"], f"{frame.where}: data_path of '{camera}'")
    if not path.is_file():
        raise InputError(
            f"{path}: image of '{camera}' of frame {frame.token} is not on disk. Split "
            f"'{root.name}' needs its sensor_blobs; frames after the current one often have none."
        )
    return path


def decode_rgb(path: Path) -> U8:
    """(height, width, 3) uint8 RGB, as it was decoded. Raises InputError."""
    return decode(CameraImage(str(path), 0, encoded=read_whole(path)))


def frame_set(root: Path, frame: LogFrame, cameras: Iterable[str] = CAMERAS) -> FrameSet:
    """The encoded images of a frame; a camera without file is named in `missing`."""
    stamp_ns = frame.timestamp_us * 1000
    images, missing = {}, {}
    for name in cameras:
        try:
            encoded = read_whole(image_path(root, frame, name))
            images[name] = CameraImage(name, stamp_ns, encoded=encoded)
        except InputError as reason:
            missing[name] = str(reason)
    return FrameSet(stamp_ns, images, missing)
