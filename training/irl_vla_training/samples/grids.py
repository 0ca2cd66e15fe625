"""Where the BEV's points lie in a cut, and perhaps mirrored, picture: without projecting them anew.

Points are projected into the whole prepared picture once per camera; samples of one drive share
that. A cut moves and scales pixels, a mirror turns them and the grid around. May import: irl_vla,
samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from irl_vla.camera.camera import Camera
from irl_vla.camera.projection import OUTSIDE, BevGrid, SamplingGrid, sampling_grid
from irl_vla.camera.rig import MAX_CAMERAS, fingerprint
from irl_vla.types import F32, InputError
from irl_vla_training.samples.decoded import DecodedPicture
from irl_vla_training.samples.sample import Mask

KEPT = 512  # cameras whose points are remembered, 150 kB each with 16 k points


@dataclass(frozen=True, eq=False)
class _Known:
    """A camera, told from others by its calibration."""

    camera: Camera
    text: str

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self.text == other.text


@lru_cache(maxsize=KEPT)
def _whole(known: _Known, grid: BevGrid) -> SamplingGrid:
    return sampling_grid([known.camera], grid)


def grid_of(picture: DecodedPicture, grid: BevGrid) -> tuple[F32, Mask]:
    """(P, 2) and (P,) as sampling_grid gives them for `picture.camera`."""
    whole = picture.prepared
    found = _whole(_Known(whole, fingerprint((whole,))), grid)
    part, visible = picture.part, found.visible[0]
    at = np.empty_like(found.grid[0])
    for axis, (size, first, length) in enumerate(
        ((whole.width, part.left, part.width), (whole.height, part.top, part.height))
    ):
        scale = np.float32(size / length)
        shift = np.float32((size - 2.0 * first) / length - 1.0)
        column = found.grid[0][:, axis] * scale + shift
        visible = visible & (column >= -1.0) & (column < 1.0)
        at[:, axis] = column
    at[~visible] = OUTSIDE
    return _mirrored(at, visible, grid) if picture.mirrored else (at, visible)


def _mirrored(at: F32, visible: Mask, grid: BevGrid) -> tuple[F32, Mask]:
    if grid.y[0] != -grid.y[1]:
        raise InputError(
            f"mirroring needs a grid that reaches as far to the left as to the right, got y"
            f" {grid.y}. Set augment.mirror to 0"
        )
    cells = (*grid.cells, len(grid.heights))
    at = at.reshape(*cells, 2)[:, ::-1].reshape(-1, 2).copy()
    visible = visible.reshape(cells)[:, ::-1].reshape(-1).copy()
    at[visible, 0] *= -1.0
    return at, visible


def grids_of(pictures: Sequence[DecodedPicture], grid: BevGrid) -> SamplingGrid:
    """Of all of them, followed by cameras that see nothing, up to MAX_CAMERAS."""
    points = grid.cells[0] * grid.cells[1] * len(grid.heights)
    at = np.full((MAX_CAMERAS, points, 2), OUTSIDE, np.float32)
    visible = np.zeros((MAX_CAMERAS, points), np.bool_)
    for k, picture in enumerate(pictures):
        at[k], visible[k] = grid_of(picture, grid)
    return SamplingGrid(at, visible)
