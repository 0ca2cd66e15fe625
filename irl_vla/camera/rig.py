"""The rig: which cameras the car has, and the car itself. From a YAML file for people to write
(format: calibration/README.md), or from the CameraInfo and tf of a bag.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml
from transforms3d.euler import euler2mat

from irl_vla.camera.camera import Camera, Region, camera_from_info, resized
from irl_vla.camera.lens_models import CameraModel
from irl_vla.config import load_yaml
from irl_vla.frames import quaternion_xyzw, rigid, rigid_from_quaternion
from irl_vla.types import F64, InputError
from irl_vla.vehicle import PACIFICA, Vehicle

__all__ = [
    "Camera",
    "CameraModel",
    "DrawnRig",
    "Region",
    "Rig",
    "ViewDirection",
    "camera_from_info",
    "ego_from_look",
    "fingerprint",
    "load_rig",
    "refuse_too_many",
    "resized",
    "save_rig",
]  # fmt: skip

MAX_CAMERAS = 8  # the `bev` graph has room for so many (docs/policy.md#perception)
# Columns: the optical axes (x right, y down, z forward) in a frame x forward, y left, z up.
LOOK_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
NS_PER_MS = 1_000_000


@dataclass(frozen=True, eq=False)
class Rig:
    """All cameras of a car, in the order in which everything else counts them, and its outline."""

    name: str
    cameras: tuple[Camera, ...]
    vehicle: Vehicle = PACIFICA
    most: ClassVar[int] = MAX_CAMERAS

    def __post_init__(self) -> None:
        if not 1 <= len(self.cameras) <= self.most:
            raise InputError(
                f"rig '{self.name}': {len(self.cameras)} cameras, expected 1 to {self.most}."
                " Leave some out"
            )
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InputError(f"rig '{self.name}': camera name '{twice[0]}' is given twice")

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names in rig order."""
        return tuple(camera.name for camera in self.cameras)

    def camera(self, name: str) -> Camera:
        """The camera of that name; InputError lists the names there are."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise InputError(f"rig '{self.name}': no camera '{name}', it has {', '.join(self.names)}")

    @cached_property
    def fingerprint(self) -> str:
        """Changes when anything in the calibration of the cameras changes, and only then."""
        return fingerprint(self.cameras)

    @cached_property
    def content_hash(self) -> str:
        """Changes when anything that can change a drive changes: cameras or vehicle, no name."""
        vehicle = repr(self.vehicle)  # every number of it, as Python reads it back
        return hashlib.sha256(f"{self.fingerprint} {vehicle}".encode()).hexdigest()


class DrawnRig(Rig):
    """A rig for pages, which draw more cameras than a policy reads (`refuse_too_many`)."""

    most: ClassVar[int] = 64


def refuse_too_many(rig: Rig) -> None:
    """Pages draw any number of cameras, a policy reads some. Raises InputError for more."""
    if len(rig.cameras) > MAX_CAMERAS:
        raise InputError(
            f"rig '{rig.name}': {len(rig.cameras)} cameras, expected 1 to {MAX_CAMERAS}. Leave "
            "some out: name those to use in a rig file, or in a topics file (--topics)"
        )


def fingerprint(cameras: Sequence[Camera]) -> str:
    """sha256 over every number of every camera, in order."""
    digest = hashlib.sha256()
    for camera in cameras:
        head = (camera.name, camera.width, camera.height, camera.model, camera.offset_ns)
        digest.update(repr(head).encode())
        for values in (camera.intrinsics, camera.distortion, camera.ego_from_cam):
            digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class ViewDirection:
    """Where a camera looks; all zero = straight ahead and upright.

    yaw_deg: to the left; pitch_deg: down; roll_deg: the camera leans to its right
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


@dataclass(frozen=True)
class Mounting:
    """Where the optical centre sits [m], ego frame, and how the camera is turned: either `look`, or
    `quaternion` (x, y, z, w) of the optical frame in the ego frame."""

    translation: tuple[float, float, float]
    look: ViewDirection | None = None
    quaternion: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if (self.look is None) == (self.quaternion is None):
            raise ValueError("mounting: give either 'look' or 'quaternion'")


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point [px]; the centre of the top left pixel is (0, 0)."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class CameraEntry:
    """One camera of a rig file."""

    name: str
    size: tuple[int, int]  # width, height [px]
    intrinsics: Intrinsics
    mounting: Mounting
    model: str = CameraModel.PLUMB_BOB
    distortion: tuple[float, ...] = ()
    offset_ms: float = 0.0  # by how much its stamps come after the anchor's


@dataclass(frozen=True)
class RigFile:
    """The whole file."""

    name: str
    cameras: tuple[CameraEntry, ...]
    vehicle: Vehicle = PACIFICA


def load_rig(path: Path | str) -> Rig:
    """Read a rig file. Raises InputError that names the file, the camera and what to do."""
    content = load_yaml(Path(path), RigFile)
    try:
        cameras = tuple(_camera(entry) for entry in content.cameras)
        return Rig(content.name, cameras, content.vehicle)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def save_rig(rig: Rig, path: Path | str) -> None:
    """Write a rig file; the file appears whole or not at all. Mountings become quaternions."""
    content: dict[str, Any] = {"name": rig.name}
    if rig.vehicle != PACIFICA:
        content["vehicle"] = asdict(rig.vehicle)
    content["cameras"] = [_entry(camera) for camera in rig.cameras]
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(target)


def ego_from_look(translation: tuple[float, float, float], look: ViewDirection) -> F64:
    """ego_from_cam (4, 4) of a camera at `translation` that looks there."""
    yaw, pitch, roll = (np.radians(v) for v in (look.yaw_deg, look.pitch_deg, look.roll_deg))
    rotation = np.asarray(euler2mat(yaw, pitch, roll, "rzyx"))
    return rigid(rotation @ LOOK_FROM_OPTICAL, translation)


def _camera(entry: CameraEntry) -> Camera:
    k = entry.intrinsics
    mounting = entry.mounting
    try:
        if mounting.quaternion is not None:
            ego_from_cam = rigid_from_quaternion(mounting.translation, mounting.quaternion)
        else:
            ego_from_cam = ego_from_look(mounting.translation, mounting.look or ViewDirection())
    except InputError as error:
        raise InputError(f"camera '{entry.name}': {error}") from None
    if not np.isfinite(entry.offset_ms):
        raise InputError(f"camera '{entry.name}': offset_ms must be finite, got {entry.offset_ms}")
    return Camera(
        entry.name, *entry.size, entry.model,
        np.array([[k.fx, 0.0, k.cx], [0.0, k.fy, k.cy], [0.0, 0.0, 1.0]]),
        np.array(entry.distortion, np.float64), ego_from_cam,
        round(entry.offset_ms * NS_PER_MS),
    )  # fmt: skip


def _entry(camera: Camera) -> dict[str, Any]:
    k = camera.intrinsics
    if k[0, 1] != 0.0:
        raise InputError(f"camera '{camera.name}': a rig file has no place for skew {k[0, 1]:g}")
    return {
        "name": camera.name,
        "size": [camera.width, camera.height],
        "model": camera.model,
        "intrinsics": {
            "fx": float(k[0, 0]), "fy": float(k[1, 1]),
            "cx": float(k[0, 2]), "cy": float(k[1, 2]),
        },
        "distortion": camera.distortion.tolist(),
        "mounting": {
            "translation": camera.ego_from_cam[:3, 3].tolist(),
            "quaternion": list(quaternion_xyzw(camera.ego_from_cam)),
        },
        "offset_ms": camera.offset_ns / NS_PER_MS,
    }  # fmt: skip
