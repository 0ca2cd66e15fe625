"""Points <-> pixels with the full lens, and where each BEV cell looks in each picture.

Everything here is float64 on the host, once per calibration; no pixel is ever undistorted.
Frames: points_cam in the optical frame (z forward, x right, y down); BEV in the ego frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.lens import WIDEST, distort, domain_radius, undistort
from irl_vla.camera.rig import MAX_CAMERAS, Camera, fingerprint
from irl_vla.frames import inverse, move
from irl_vla.types import F32, F64, InputError

NEAR_M = 1e-6  # [m] along the optical axis; nearer is behind the camera
LEAST_LEVEL = 1e-3  # of the view's unit vector on the ground: less has no direction ahead
OUTSIDE = np.float32(-2.0)  # grid_sample coordinate of a point that is not seen: beyond the border


@dataclass(frozen=True)
class Projection:
    """pixels: (..., 2) u, v, NaN where there is none (behind the camera, beyond what the lens model
    can say); visible: (...,) in front, inside the lens's domain and inside the picture."""

    pixels: F64
    visible: NDArray[np.bool_]


def project(camera: Camera, points_cam: F64) -> Projection:
    """(..., 3) points in the camera frame [m] -> pixels.

    Points at 90 degrees or more from the optical axis count as behind, also for a fisheye.
    """
    points = np.asarray(points_cam, np.float64)
    depth = points[..., 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        flat = points[..., :2] / depth[..., None]
        radius = np.hypot(flat[..., 0], flat[..., 1])
        known = (depth > NEAR_M) & (radius < min(domain_radius(camera), np.tan(WIDEST)))
        bent = distort(camera, np.where(known[..., None], flat, np.nan))
        k = camera.intrinsics
        pixels = bent @ k[:2, :2].T + k[:2, 2]
        u, v = pixels[..., 0], pixels[..., 1]
        inside = (u >= -0.5) & (u < camera.width - 0.5) & (v >= -0.5) & (v < camera.height - 0.5)
    return Projection(pixels, known & inside)


def unproject(camera: Camera, pixels: F64) -> F64:
    """(..., 2) pixels -> (..., 3) unit rays in the camera frame; NaN where no ray lands there."""
    k = camera.intrinsics
    bent = (np.asarray(pixels, np.float64) - k[:2, 2]) @ np.linalg.inv(k[:2, :2]).T
    flat = undistort(camera, bent)
    ray = np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)
    return np.asarray(ray / np.linalg.norm(ray, axis=-1, keepdims=True))


def horizon_row(camera: Camera) -> float:
    """Row [px] of the horizon straight ahead of the camera, also outside the picture; NaN for a
    camera that looks straight up or down."""
    level = camera.ego_from_cam[:2, 2]  # where it looks, on the ground
    if np.hypot(*level) < LEAST_LEVEL:
        return float("nan")
    direction = camera.ego_from_cam[:3, :3].T @ np.append(level, 0.0)
    return float(project(camera, direction).pixels[1])


@dataclass(frozen=True)
class BevGrid:
    """The ground that the policy looks at, as cells with points at several heights, ego frame.

    x: first and last edge [m], forward; y: [m], to the left; cells: along x, along y
    heights: [m] above the ground, so that wheels, bodies and traffic lights are looked at
    Cell (i, j) is the i-th from `x[0]` and the j-th from `y[0]`; points are counted cell by cell
    (i, then j) and within a cell by height.
    """

    x: tuple[float, float] = (-16.0, 48.0)
    y: tuple[float, float] = (-32.0, 32.0)
    cells: tuple[int, int] = (64, 64)
    heights: tuple[float, ...] = (-1.0, 0.5, 2.0, 5.0)

    def __post_init__(self) -> None:
        if not (self.x[0] < self.x[1] and self.y[0] < self.y[1]):
            raise ValueError(f"bev grid: x {self.x} and y {self.y} must grow from first to last")
        if min(self.cells) < 1 or not self.heights:
            raise ValueError(f"bev grid: needs cells and heights, got {self.cells}, {self.heights}")

    def points(self) -> F64:
        """(cells * heights, 3) points in the ego frame [m]."""
        xs, ys = (
            first + (np.arange(count) + 0.5) * (last - first) / count
            for (first, last), count in zip((self.x, self.y), self.cells, strict=True)
        )
        axes = np.meshgrid(xs, ys, np.array(self.heights), indexing="ij")
        return np.stack(axes, axis=-1).reshape(-1, 3)


@dataclass(frozen=True)
class SamplingGrid:
    """Where the points of a BevGrid land in each picture.

    grid: (cameras, cells * heights, 2) float32, x and y for torch's grid_sample with
    align_corners=False: -1 and 1 are the outer *edges* of the picture, so the same numbers serve
    every resized picture and every feature map of it. Points that are not seen are at -2.
    visible: (cameras, cells * heights)
    """

    grid: F32
    visible: NDArray[np.bool_]


def sampling_grid(
    cameras: Sequence[Camera], bev: BevGrid, *, pad_to: int | None = None
) -> SamplingGrid:
    """The grid for these cameras, in their order; with `pad_to`, followed by cameras that see
    nothing."""
    count = len(cameras) if pad_to is None else pad_to
    if not len(cameras) <= count <= MAX_CAMERAS:
        raise InputError(f"sampling grid: {len(cameras)} cameras do not fit into {count} places")
    points = bev.points()
    grid = np.full((count, len(points), 2), OUTSIDE, np.float32)
    visible = np.zeros((count, len(points)), np.bool_)
    for index, camera in enumerate(cameras):
        seen = project(camera, move(points, inverse(camera.ego_from_cam)))
        size = np.array([camera.width, camera.height])
        visible[index] = seen.visible
        grid[index, seen.visible] = (2.0 * seen.pixels[seen.visible] + 1.0) / size - 1.0
    grid.setflags(write=False)
    visible.setflags(write=False)
    return SamplingGrid(grid, visible)


@dataclass
class GridCache:
    """The sampling grid of the present calibration; computed again only when that changes."""

    bev: BevGrid
    pad_to: int | None = None
    _cameras: tuple[Camera, ...] = field(default=(), init=False)
    _fingerprint: str = field(default="", init=False)
    _grid: SamplingGrid | None = field(default=None, init=False)

    def lookup(self, cameras: tuple[Camera, ...]) -> SamplingGrid:
        """The grid of these cameras; microseconds unless the calibration has changed."""
        if self._grid is not None and cameras is self._cameras:
            return self._grid
        key = fingerprint(cameras)
        if self._grid is None or key != self._fingerprint:
            self._grid = sampling_grid(cameras, self.bev, pad_to=self.pad_to)
            self._fingerprint = key
        self._cameras = cameras
        return self._grid
