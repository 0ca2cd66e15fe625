"""One camera: where it sits and how its lens bends light.

Pixels: (u, v), u to the right, v down, the *centre* of the top left pixel is (0, 0) (OpenCV, ROS).
Camera frame (optical, REP-103): z forward, x right, y down. Ego frame: rear axle on the ground.
Invariant: a Camera that exists can be used; everything else is refused with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from irl_vla.camera.lens_models import LENS_MODELS, CameraModel, LensModel
from irl_vla.config import named
from irl_vla.types import F64, InputError

MAX_SIDE_PX = 16384  # a wider picture is a broken header
MAX_MOUNTING_M = 30.0  # farther from the rear axle is a translation in mm or cm
MIN_FIELD_OF_VIEW = np.radians(3.0)  # [rad] narrower is a focal length in the wrong unit
MAX_FIELD_OF_VIEW_FLAT = np.radians(170.0)  # [rad] of models that are no fisheye
MAX_FIELD_OF_VIEW_FISHEYE = np.radians(280.0)  # [rad]
ROTATION_TOLERANCE = 1e-4  # of R R^T against the identity; float32 sources reach 1e-6


ROS_NAMES = {
    "plumb_bob": CameraModel.PLUMB_BOB,
    "radtan": CameraModel.PLUMB_BOB,
    "rational_polynomial": CameraModel.RATIONAL_POLYNOMIAL,
    "equidistant": CameraModel.EQUIDISTANT,
    "fisheye": CameraModel.EQUIDISTANT,
    "kannala_brandt": CameraModel.EQUIDISTANT,
}


@dataclass(frozen=True)
class Region:
    """A rectangle of whole pixels: its first column and row, and its size."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera.

    model: name of one of LENS_MODELS
    intrinsics: (3, 3) [px]; distortion: (n,) in the order of `model`, empty = none
    ego_from_cam: (4, 4) [m], the optical frame (z forward, x right, y down)
    offset_ns: by how much this camera's stamps come after the anchor's when both see the same
    moment
    Raises InputError for a calibration that cannot be true.
    """

    name: str
    width: int
    height: int
    model: str
    intrinsics: F64
    distortion: F64
    ego_from_cam: F64
    offset_ns: int = 0

    def __post_init__(self) -> None:
        where = f"camera '{self.name}'"
        if not re.fullmatch(r"[A-Za-z0-9_./-]{1,64}", self.name):
            raise InputError(f"{where}: a name has 1 to 64 letters, digits or _ . / -")
        for side in (self.width, self.height):
            if not 1 <= side <= MAX_SIDE_PX:
                raise InputError(
                    f"{where}: size {self.width}x{self.height} px, expected 1 to {MAX_SIDE_PX} a"
                    " side. Give the size that the calibration was made for"
                )
        settle = object.__setattr__  # a frozen dataclass may still tidy its own arrays at birth
        settle(self, "intrinsics", _locked(self.intrinsics, (3, 3), f"{where}: intrinsics"))
        settle(self, "ego_from_cam", _locked(self.ego_from_cam, (4, 4), f"{where}: ego_from_cam"))
        settle(self, "distortion", _coefficients(self.distortion, self, where))
        _check_intrinsics(self, where)
        _check_mounting(self.ego_from_cam, where)

    @cached_property
    def lens(self) -> LensModel:
        """How it maps rays to pixels. Raises InputError for an unknown model."""
        return named(LENS_MODELS, self.model, f"camera '{self.name}': model")

    @cached_property
    def field_of_view(self) -> tuple[float, float]:
        """Angle [rad] across the picture, horizontal and vertical, without distortion."""
        fx, fy = self.intrinsics[0, 0], self.intrinsics[1, 1]
        half = np.array([self.width / fx, self.height / fy]) / 2
        if not self.lens.fisheye:
            half = np.arctan(half)
        return float(2 * half[0]), float(2 * half[1])

    @cached_property
    def position(self) -> F64:
        """(3,) optical centre in the ego frame [m]."""
        return self.ego_from_cam[:3, 3]


def camera_from_info(
    name: str,
    width: int,
    height: int,
    distortion_model: str,
    d: Sequence[float],
    k: Sequence[float],
    ego_from_cam: F64,
    *,
    binning: tuple[int, int] = (1, 1),
    roi: Region | None = None,
) -> Camera:
    """Camera of the pictures that come with a ROS CameraInfo.

    width, height, d, k: for the full sensor, as CameraInfo has them; k: 9 numbers, row by row
    binning: pixels of the sensor per pixel of the picture (0 means 1); roi: the part of the sensor
    that was read, in sensor pixels (None or size 0 = all)
    Raises InputError, for example for K = 0, which ROS defines as "uncalibrated".
    """
    where = f"camera '{name}'"
    if np.size(k) != 9 or not np.any(np.asarray(k, np.float64)):
        raise InputError(
            f"{where}: uncalibrated (K of its CameraInfo is zero). Calibrate it, or give a rig"
            " file (calibration/README.md)"
        )
    coefficients = np.asarray(d, np.float64).reshape(-1)
    model = _model_of(distortion_model, coefficients, where)
    if model == CameraModel.PLUMB_BOB and np.any(coefficients[5:]):
        model = CameraModel.RATIONAL_POLYNOMIAL  # some drivers give 8 numbers under this name
    keep = LENS_MODELS[model].counts[-1]
    if np.any(coefficients[keep:]):
        raise InputError(
            f"{where}: {len(coefficients)} distortion numbers, {model} has {keep}. Thin"
            " prism and tilt are not supported; calibrate without them"
        )
    intrinsics = np.asarray(k, np.float64).reshape(3, 3)
    full = Camera(name, width, height, model, intrinsics, coefficients[:keep], ego_from_cam)
    if roi is not None and (roi.width == 0 or roi.height == 0):
        roi = None
    part = roi or Region(0, 0, width, height)
    step_x, step_y = (max(1, step) for step in binning)
    if roi is None and step_x == step_y == 1:
        return full
    return resized(full, part.width // step_x, part.height // step_y, part)


def resized(camera: Camera, width: int, height: int, crop: Region | None = None) -> Camera:
    """The camera of a picture that was cut to `crop` and then resized to width x height.

    Pixel centres are whole numbers, so u' = (u - left + 0.5) * width / crop.width - 0.5. The scale
    is that of the *rounded* size, because that is what happened to the pixels.
    """
    part = crop or Region(0, 0, camera.width, camera.height)
    inside = (
        0 <= part.left < part.left + part.width <= camera.width
        and 0 <= part.top < part.top + part.height <= camera.height
    )
    if not inside:
        raise InputError(
            f"camera '{camera.name}': cannot cut {part.width}x{part.height} at"
            f" ({part.left}, {part.top}) out of {camera.width}x{camera.height}"
        )
    scale_x, scale_y = width / part.width, height / part.height
    moved = np.array(
        [
            [scale_x, 0.0, (0.5 - part.left) * scale_x - 0.5],
            [0.0, scale_y, (0.5 - part.top) * scale_y - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
    return replace(camera, width=width, height=height, intrinsics=moved @ camera.intrinsics)


def _model_of(name: str, coefficients: F64, where: str) -> str:
    if name in ROS_NAMES or name in LENS_MODELS:
        return ROS_NAMES.get(name, name)
    if not np.any(coefficients):  # without distortion the name says nothing
        return CameraModel.PLUMB_BOB
    raise InputError(
        f"{where}: distortion model '{name}' is not supported. Supported: "
        f"{', '.join(ROS_NAMES | LENS_MODELS)}"
    )


def _locked(values: ArrayLike, shape: tuple[int, ...], where: str) -> F64:
    """A read-only float64 copy of the expected shape, finite."""
    array = np.array(values, np.float64)
    if array.shape != shape:
        raise InputError(f"{where}: expected shape {shape}, got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{where}: expected finite numbers, got {array.tolist()}")
    array.setflags(write=False)
    return array


def _coefficients(given: ArrayLike, camera: Camera, where: str) -> F64:
    """Distortion padded with zeros to the model's length: empty = none, 4 of plumb_bob = no k3."""
    array = np.array(given, np.float64).reshape(-1)
    length = camera.lens.counts[-1]
    if len(array) not in (0, *camera.lens.counts):
        raise InputError(
            f"{where}: {camera.model} takes {length} distortion numbers (or none), got {len(array)}"
        )
    return _locked(np.pad(array, (0, length - len(array))), (length,), f"{where}: distortion")


def _check_intrinsics(camera: Camera, where: str) -> None:
    matrix = camera.intrinsics
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise InputError(
            f"{where}: uncalibrated (focal lengths fx {matrix[0, 0]:g}, fy {matrix[1, 1]:g} px,"
            " expected positive numbers). Calibrate it, or give a rig file"
            " (calibration/README.md)"
        )
    if matrix[1, 0] != 0 or not np.array_equal(matrix[2], [0.0, 0.0, 1.0]):
        raise InputError(
            f"{where}: intrinsics must read fx s cx / 0 fy cy / 0 0 1, got {matrix.tolist()}"
        )
    widest = MAX_FIELD_OF_VIEW_FISHEYE if camera.lens.fisheye else MAX_FIELD_OF_VIEW_FLAT
    for angle, axis in zip(camera.field_of_view, ("horizontal", "vertical"), strict=True):
        if angle > widest or max(camera.field_of_view) < MIN_FIELD_OF_VIEW:
            raise InputError(
                f"{where}: {axis} field of view {np.degrees(angle):.1f} degrees, expected"
                f" {np.degrees(MIN_FIELD_OF_VIEW):.0f} to {np.degrees(widest):.0f}. fx"
                f" {matrix[0, 0]:g}, fy {matrix[1, 1]:g} must be in pixels of the"
                f" {camera.width}x{camera.height} picture"
            )


def _check_mounting(ego_from_cam: F64, where: str) -> None:
    rotation = ego_from_cam[:3, :3]
    off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if off > ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        kind = "a mirror image" if off <= ROTATION_TOLERANCE else f"{off:.2g} away from one"
        raise InputError(f"{where}: ego_from_cam is not a rotation, it is {kind}")
    if not np.array_equal(ego_from_cam[3], [0.0, 0.0, 0.0, 1.0]):
        raise InputError(f"{where}: last row of ego_from_cam must be 0 0 0 1")
    far = float(np.abs(ego_from_cam[:3, 3]).max())
    if far > MAX_MOUNTING_M:
        raise InputError(
            f"{where}: mounted {far:g} m from the rear axle, expected at most"
            f" {MAX_MOUNTING_M:g}. Translations are in metres"
        )
