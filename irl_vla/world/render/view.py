"""What one camera's pixels look at, as far as it never changes: rays, the ground, the sky.

The ground is flat and the car does not pitch, so each pixel sees one fixed place of the ego frame.
Everything is derived from the full lens (camera.projection.unproject), once per camera.
May import: types, camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline

from irl_vla.camera.camera import Camera, resized
from irl_vla.camera.lens import WIDEST, domain_radius
from irl_vla.camera.lens_models import CameraModel
from irl_vla.camera.projection import unproject
from irl_vla.frames import inverse
from irl_vla.types import F32, F64, InputError
from irl_vla.world.render.texels import (
    BLOCK,
    LEVELS,
    PAGE,
    PAGED,
    SKY_HEIGHT,
    SKY_WIDTH,
    TEXEL_M,
)  # fmt: skip

FAR_M = 450.0  # [m] ground beyond is drawn as horizon
SKY_LOW, SKY_HIGH = np.radians(-1.0), np.radians(75.0)  # elevations of its last and first row
LOWEST_M = 0.15  # [m] a lens below is under the road or in it
LEAST_SEEN = 0.01  # of the pixels must have a ray, and as many see the ground
LENS_NUMBERS = 18
PAINTED_MODELS = (  # what raster.bent_pixel knows
    CameraModel.PLUMB_BOB, CameraModel.RATIONAL_POLYNOMIAL, CameraModel.EQUIDISTANT,
)  # fmt: skip
NODE_PX, SPLINE_PX = 12, 1e-3  # [px] between the rays that are computed; allowed error
SEES_SKY, SEES_NOTHING = -1, -2  # instead of a texture level
SIDE_LIMIT = float(np.tan(WIDEST))


@dataclass(frozen=True)
class View:
    """Fixed geometry of one picture of (H, W) pixels.

    rays: (2, H, W) x and y of the undistorted rays (x, y, 1), camera frame
    ground_w: (H, W) inverse depth of the ground, 0: none, inf: the pixel has no ray
    backdrop: (3, H, W) behind everything: ground_w, 0 where it is inf; of the ground then x, y in
    the ego frame [m], of the sky its column for a car that heads east and its row
    level: (H, W) the ground texture that fits, or SEES_SKY or SEES_NOTHING
    reach: (PAGED,) how far from the ego each paged level is looked at [m]
    lens: numbers for raster.py; cam_from_ego: (4, 4)
    """

    rays: F32
    ground_w: F32
    backdrop: F32
    level: NDArray[np.int8]
    reach: tuple[float, ...]
    lens: F64
    cam_from_ego: F64

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        height, width = self.ground_w.shape
        return width, height


@lru_cache(maxsize=32)
def view_of(camera: Camera, fold: int = 1) -> View:
    """The view of a camera, with `fold` x `fold` samples a pixel.

    Raises InputError for a camera that cannot see the street.
    """
    camera = resized(camera, camera.width * fold, camera.height * fold) if fold > 1 else camera
    where = f"camera '{camera.name}'"
    if camera.position[2] < LOWEST_M:
        raise InputError(
            f"{where}: it lies {camera.position[2]:.2f} m above the ground, expected at least"
            f" {LOWEST_M} m. The ego frame stands on the ground: check mounting.translation"
        )
    flat = _flat(camera)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(flat).all(axis=-1))
    if known.mean() < LEAST_SEEN:
        raise InputError(
            f"{where}: hardly a pixel has a ray in this lens. Check intrinsics and distortion"
        )
    flat = np.where(known[..., None], flat, 0.0)
    forward = np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)
    ego = forward @ camera.ego_from_cam[:3, :3].T
    ground_w = np.maximum(0.0, -ego[..., 2] / camera.position[2])
    distance = np.hypot(ego[..., 0], ego[..., 1]) / np.maximum(ground_w, 1e-9)
    ground_w[distance > FAR_M] = 0.0
    if (known & (ground_w > 0)).mean() < LEAST_SEEN:
        raise InputError(
            f"{where}: it sees no ground within {FAR_M:.0f} m, only sky. Check its mounting"
            " (pitch_deg is positive downwards)"
        )
    ground = camera.position[:2] + ego[..., :2] / np.maximum(ground_w, 1e-9)[..., None]
    ground[ground_w == 0.0] = 0.0
    level = np.where(known, _level(ground, ground_w, fold), SEES_NOTHING).astype(np.int8)
    behind = np.where(level[..., None] >= 0, ground, _sky(ego))
    far = np.hypot(ground[..., 0], ground[..., 1])
    reach = tuple(float(far[level == k].max(initial=0.0)) for k in range(PAGED))
    ground_w = np.where(known, ground_w, np.inf)
    backdrop = np.stack([np.where(level >= 0, ground_w, 0.0), behind[..., 0], behind[..., 1]])
    return View(
        np.ascontiguousarray(np.moveaxis(flat, -1, 0), np.float32), ground_w.astype(np.float32),
        np.ascontiguousarray(backdrop, np.float32), level, reach, _lens(camera, flat[known]),
        inverse(camera.ego_from_cam),
    )  # fmt: skip


def _flat(camera: Camera) -> F64:
    """(H, W, 2) undistorted x and y of each pixel's ray, NaN where there is none.

    A lens is smooth: a cubic spline through every NODE_PX-th ray is as good as all rays, and much
    faster. That is checked; where it is not so, or rays are missing, all are computed.
    """
    axes = [_nodes(camera.height), _nodes(camera.width)]
    coarse = _exact(camera, *np.meshgrid(*axes, indexing="ij"))
    rows, columns = np.arange(camera.height), np.arange(camera.width)
    if np.isfinite(coarse).all() and min(len(axis) for axis in axes) > 3:
        splines = [RectBivariateSpline(*axes, coarse[..., k]) for k in (0, 1)]
        flat = np.stack([spline(rows, columns) for spline in splines], axis=-1)
        v, u = rows[NODE_PX // 2 :: 37], columns[NODE_PX // 2 :: 37]
        miss = np.abs(_exact(camera, *np.meshgrid(v, u, indexing="ij")) - flat[np.ix_(v, u)])
        if miss.max(initial=0.0) * camera.intrinsics[0, 0] < SPLINE_PX:
            return np.asarray(flat)
    return _exact(camera, *np.meshgrid(rows, columns, indexing="ij"))


def _nodes(size: int) -> F64:
    """Pixels along one side, its ends included."""
    return np.linspace(0.0, size - 1.0, max(2, size // NODE_PX + 1))


def _exact(camera: Camera, v: ArrayLike, u: ArrayLike) -> F64:
    """(..., 2) undistorted x and y at rows v and columns u."""
    rays = unproject(camera, np.stack([np.asarray(u), np.asarray(v)], axis=-1).astype(np.float64))
    return np.asarray(rays[..., :2] / rays[..., 2:])


def _level(ground: F64, ground_w: F64, fold: int) -> F64:
    """Texture level by the area of ground that a pixel covers, all its samples together; none
    whose page might not hold the place."""
    spans = []
    for axis in (0, 1):
        span = np.abs(np.diff(ground, axis=axis)).sum(axis=-1)
        last = np.take(span, [-1], axis=axis) if span.shape[axis] else np.zeros_like(ground_w)
        spans.append(np.concatenate([span, last], axis=axis))
    area = np.maximum(spans[0], 1e-3) * np.maximum(spans[1], 1e-3) * fold * fold
    level = np.round(0.5 * np.log2(area) - np.log2(TEXEL_M) - 0.2)
    held = (PAGE - BLOCK) / 2 * TEXEL_M - 0.5  # [m] around the ego, at the finest level
    far = np.maximum(np.hypot(ground[..., 0], ground[..., 1]), held)
    least = np.ceil(np.log2(far / held))
    least = np.where(least >= PAGED, 0, least)  # what is not paged is held whole
    least = np.where(far > held * 2 ** (PAGED - 1), PAGED, least)
    return np.where(ground_w > 0, np.clip(np.maximum(level, least), 0, LEVELS - 1), SEES_SKY)


def _sky(ego: F64) -> F64:
    azimuth = np.arctan2(ego[..., 1], ego[..., 0])
    elevation = np.arctan2(ego[..., 2], np.hypot(ego[..., 0], ego[..., 1]))
    row = (SKY_HIGH - elevation) / (SKY_HIGH - SKY_LOW) * (SKY_HEIGHT - 1)
    column = azimuth / (2 * np.pi) * SKY_WIDTH + SKY_WIDTH
    return np.stack([column, np.clip(row, 0, SKY_HEIGHT - 1.01)], axis=-1)


def _lens(camera: Camera, flat: F64) -> F64:
    """Numbers of the lens as raster.bent_pixel reads them, and the limits of the view."""
    if camera.model not in PAINTED_MODELS:
        raise InputError(
            f"camera '{camera.name}': the built-in world is drawn through "
            f"{', '.join(PAINTED_MODELS)}, not '{camera.model}'. Use one of these in the rig"
        )
    k = camera.intrinsics
    lens = np.zeros(LENS_NUMBERS)
    lens[0] = camera.model == CameraModel.EQUIDISTANT
    lens[1:6] = k[0, 0], k[0, 1], k[0, 2], k[1, 1], k[1, 2]
    lens[6 : 6 + len(camera.distortion)] = camera.distortion
    lens[14] = min(domain_radius(camera), SIDE_LIMIT)
    margin = 2.0 / k[0, 0]
    lens[15], lens[16] = flat[:, 0].min() - margin, flat[:, 0].max() + margin
    lens[17] = np.abs(flat[:, 1]).max() + margin
    return lens
