"""Pictures as pixels, cut to the preset's size, with the cameras of these very pixels.

May import: irl_vla, samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from irl_vla.camera.camera import Camera, Region, resized
from irl_vla.camera.lens_models import CameraModel
from irl_vla.camera.preprocess import decode
from irl_vla.types import U8, CameraImage, InputError
from irl_vla_training.samples.batch import PIXEL_STRIDE
from irl_vla_training.samples.pixels import HALF
from irl_vla_training.samples.sample import Picture, PictureTruth

FLIP = np.diag([1.0, -1.0, 1.0, 1.0])  # of the ego frame: left and right exchanged
FLIP_CAMERA = np.diag([-1.0, 1.0, 1.0, 1.0])  # of a camera's frame
TANGENTIAL = 3  # index of the coefficient that bends pictures sideways
TELE_ABOVE = 0.6  # share of the tele crop's rows above the horizon (camera.tele.ABOVE)


@dataclass(frozen=True)
class DecodedPicture:
    """pixels: (H, W, 3) uint8 RGB; truth: (H / 4, W / 4) or None.

    prepared: the camera of the whole stored picture; part: what was cut out of it; mirrored:
    whether the cut was mirrored then
    """

    pixels: U8
    truth: PictureTruth | None
    prepared: Camera
    part: Region
    mirrored: bool = False

    @cached_property
    def camera(self) -> Camera:
        """Of these very pixels. Made when asked for: reading needs it not (grids.py)."""
        height, width = self.pixels.shape[:2]
        cut = resized(self.prepared, width, height, self.part)
        return mirrored_camera(cut) if self.mirrored else cut

    def mirror(self) -> DecodedPicture:
        """What a mirrored camera takes of a mirrored street."""
        truth = self.truth
        if truth is not None:
            truth = PictureTruth(truth.kind[:, ::-1], truth.lamp[:, ::-1], truth.depth[:, ::-1])
        pixels = np.ascontiguousarray(self.pixels[:, ::-1])
        return DecodedPicture(pixels, truth, self.prepared, self.part, not self.mirrored)


@dataclass(frozen=True)
class Window:
    """A cut of a prepared picture. size: its share of what the picture has beyond the preset's
    size, 0: exactly the preset's, 1: all; left, top: where in what is left over, 0..1."""

    size: float = 1.0
    left: float = 0.5
    top: float = 0.5


def decoded(
    picture: Picture, truth: PictureTruth | None, window: Window, size: tuple[int, int]
) -> DecodedPicture:
    """Decode, cut, and resize to `size` (width, height). Raises InputError for a damaged JPEG."""
    camera = picture.camera
    whole = decode(CameraImage(camera.name, 0, encoded=picture.jpeg))
    if whole.shape[:2] != (camera.height, camera.width):
        raise InputError(f"camera '{camera.name}': its stored picture has another size")
    part = region(camera, window, size)
    rows = slice(part.top, part.top + part.height)
    cut = whole[rows, part.left : part.left + part.width]
    if (part.width, part.height) != size:
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR)
    told = None if truth is None else cut_truth(truth, part, size)
    return DecodedPicture(np.ascontiguousarray(cut, np.uint8), told, camera, part)


def region(camera: Camera, window: Window, size: tuple[int, int]) -> Region:
    """Whole pixels of a window. A picture that is no larger than `size` is taken whole."""
    width, height = (
        min(have, round(want + window.size * max(have - want, 0)))
        for have, want in zip((camera.width, camera.height), size, strict=True)
    )
    left = round((camera.width - width) * window.left)
    top = round((camera.height - height) * window.top)
    return Region(left, top, width, height)


def cut_truth(truth: PictureTruth, part: Region, size: tuple[int, int]) -> PictureTruth:
    """Truth of the same cut, one value for PIXEL_STRIDE x PIXEL_STRIDE pixels: what their middle
    is; a lamp where any of them shows it."""
    columns, rows = (side // PIXEL_STRIDE for side in size)
    u = part.left + (np.arange(columns) + 0.5) * part.width / columns
    v = part.top + (np.arange(rows) + 0.5) * part.height / rows
    high, wide = truth.kind.shape
    at_u = np.minimum((u / HALF).astype(int), wide - 1)
    at_v = np.minimum((v / HALF).astype(int), high - 1)
    index = np.ix_(at_v, at_u)
    lamp = np.where(truth.lamp == 255, 0, truth.lamp)
    grown = np.asarray(cv2.dilate(lamp, np.ones((HALF, HALF), np.uint8), anchor=(1, 1)), np.uint8)
    lamps = np.where(truth.lamp[index] == 255, 255, grown[index]).astype(np.uint8)
    return PictureTruth(truth.kind[index], lamps, truth.depth[index])


def mirrored_camera(camera: Camera) -> Camera:
    """What takes the mirrored picture of the mirrored street."""
    k = camera.intrinsics.copy()
    k[0, 2], k[0, 1] = camera.width - 1.0 - k[0, 2], -k[0, 1]
    distortion = camera.distortion.copy()
    if camera.model != CameraModel.EQUIDISTANT and len(distortion) > TANGENTIAL:
        distortion[TANGENTIAL] *= -1.0
    pose = FLIP @ camera.ego_from_cam @ FLIP_CAMERA
    return replace(camera, intrinsics=k, distortion=distortion, ego_from_cam=pose)
