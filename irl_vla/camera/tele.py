"""The tele crop: a cut at full resolution out of the picture ahead, around the horizon.

A lamp fifty metres away has few pixels left once a picture fits the policy's size; in the crop it
keeps all that the camera took. It is never scaled, so its calibration is the camera's own, moved.
In: cameras of a rig, TeleSpec   Out: TeleFit: which camera, where to cut, the camera of the crop
May import: types, camera, projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.camera.camera import Camera, Region, resized
from irl_vla.camera.projection import project

AHEAD = float(np.cos(np.radians(30.0)))  # a camera that is turned further away looks elsewhere
ALIKE = 0.01  # cosines of directions that differ by less are one direction: then the lens decides
ABOVE = 0.6  # share of the crop above the horizon: lamps hang, the road near by is seen anyway


@dataclass(frozen=True)
class TeleSpec:
    """Size of the crop [px of the camera that looks ahead]."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 8:
            raise ValueError(f"tele crop {self.width}x{self.height}: expected at least 8x8 px")


@dataclass(frozen=True)
class TeleFit:
    """index: of the camera in the rig; crop: in its pixels; camera: of the crop's pixels."""

    index: int
    crop: Region
    camera: Camera


def tele_fit(cameras: Sequence[Camera], spec: TeleSpec) -> TeleFit | None:
    """Where to cut; None where no camera looks ahead, or its picture is smaller than the crop."""
    index = _ahead(cameras)
    if index is None:
        return None
    camera = cameras[index]
    rows, columns = camera.height - spec.height, camera.width - spec.width
    point = project(camera, camera.ego_from_cam[:3, :3].T @ np.array([1.0, 0.0, 0.0])).pixels
    if min(rows, columns) < 0 or not np.isfinite(point).all():
        return None
    left = round(float(np.clip(point[0] + 0.5 - spec.width / 2, 0, columns)))
    top = round(float(np.clip(point[1] + 0.5 - spec.height * ABOVE, 0, rows)))
    crop = Region(left, top, spec.width, spec.height)
    return TeleFit(index, crop, resized(camera, spec.width, spec.height, crop))


def _ahead(cameras: Sequence[Camera]) -> int | None:
    """The camera that looks most nearly along the car; of several the one that magnifies most."""
    best, key = None, (AHEAD, 0.0)
    for index, camera in enumerate(cameras):
        along = round(float(camera.ego_from_cam[0, 2]) / ALIKE) * ALIKE
        if (along, float(camera.intrinsics[0, 0])) > key:
            best, key = index, (along, float(camera.intrinsics[0, 0]))
    return best
