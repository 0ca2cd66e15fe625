"""Pixels and points of a frame: images as a FrameSet, lidar only when asked for.

Paths come from the frame, never from its token: image files are named by image tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.camera.preprocess import decode
from irl_vla.frames import rigid
from irl_vla.navsim.dataset import Dataset
from irl_vla.navsim.filters import NavsimSplit
from irl_vla.navsim.records import LogFrame, SceneWindow
from irl_vla.paths import inside
from irl_vla.types import F32, F64, U8, CameraImage, FrameSet, InputError

CAMERAS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
PCD_TYPES = {"F": "f", "U": "u", "I": "i"}


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
    return decode(CameraImage(str(path), 0, encoded=path.read_bytes()))


def frame_set(root: Path, frame: LogFrame, cameras: Iterable[str] = CAMERAS) -> FrameSet:
    """The encoded images of a frame; a camera without file is named in `missing`."""
    stamp_ns = frame.timestamp_us * 1000
    images, missing = {}, {}
    for name in cameras:
        try:
            encoded = image_path(root, frame, name).read_bytes()
            images[name] = CameraImage(name, stamp_ns, encoded=encoded)
        except InputError as reason:
            missing[name] = str(reason)
    return FrameSet(stamp_ns, images, missing)


def load_lidar(root: Path, frame: LogFrame) -> F32:
    """(6, n) x y z intensity ring lidar_info, ego frame. Raises InputError if there is none."""
    if frame.lidar_path is None:
        raise InputError(f"frame {frame.token}: it has no lidar (follow-ups never have)")
    path = inside(root, frame.lidar_path, f"{frame.where}: lidar_path")
    if not path.is_file():
        raise InputError(f"{path}: lidar of frame {frame.token} is not on disk")
    return read_pcd(path)


def read_pcd(path: Path) -> F32:
    """A binary .pcd -> (fields, n) float32, rows in the order of FIELDS.

    Every field has its own size and type; COUNT must be 1. Padding after the points is allowed.
    """
    data, header, start = path.read_bytes(), dict[str, list[str]](), 0
    while "DATA" not in header:
        end = data.find(b"\n", start)
        if end < 0:
            raise InputError(f"{path}: no 'DATA' line in the header. Copy the file again.")
        words = data[start:end].decode("ascii", "replace").split()
        start = end + 1
        if words and not words[0].startswith("#"):
            header[words[0].upper()] = words[1:]
    try:
        fields, points = header["FIELDS"], int(header["POINTS"][0])
        counts = header.get("COUNT", ["1"] * len(fields))
        if header["DATA"][0].lower() != "binary" or set(counts) != {"1"}:
            raise InputError(
                f"{path}: expected DATA binary and COUNT 1 per field, got DATA "
                f"{header['DATA'][0]} and COUNT {' '.join(counts)}"
            )
        kinds = zip(fields, header["TYPE"], header["SIZE"], strict=True)
        row = np.dtype([(name, f"<{PCD_TYPES[kind]}{int(size)}") for name, kind, size in kinds])
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise InputError(f"{path}: the header cannot be understood ({error!r})") from None
    if len(data) - start < points * row.itemsize:
        raise InputError(
            f"{path}: truncated: {points} points need {points * row.itemsize} bytes, "
            f"{len(data) - start} are there. Copy it again."
        )
    table = np.frombuffer(data, row, points, start)
    return np.stack([table[name].astype(np.float32) for name in fields])
