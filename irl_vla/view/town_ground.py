"""The still part of a town from above, painted once, in tiles, when somebody looks there.

North is up. A place (x, y) [m] lies at (x * scale, -y * scale) on one endless sheet of pixels;
tiles are squares of that sheet, so that a frame is a plain copy.
May import: world, types, drawing, palette, town_shapes, town_props.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from irl_vla.types import F64, U8
from irl_vla.view import drawing
from irl_vla.view.palette import Rgb
from irl_vla.view.town_props import DrawnProp, shadow_of, standing
from irl_vla.view.town_shapes import Shape, ground_shapes
from irl_vla.world.town import Town

GRASS: Rgb = (142, 168, 112)
STONE: Rgb = (178, 180, 172)  # around imported roads: nobody knows what is there
SPREAD = 3.5  # by how much their brightness wanders, of 255
TILE_PX = 512
FINE = 2  # a tile is painted so many times larger and averaged
REACH_M = 12.0  # what stands this far outside a tile may still cast its shadow into it
SHADOW, SHADOW_BLUR_M = 0.38, 0.5  # darkness; softness of its edge [m]
MAX_TILES = 160  # kept; 512 * 512 * 3 bytes each
MEADOW = 0x6D65  # stream of random numbers of the grass


class GroundImage:
    """The still part of a town at one scale [px/m]."""

    def __init__(self, town: Town, scale: float) -> None:
        self.scale = scale
        self._shapes = ground_shapes(town)
        self._boxes = np.array([shape.box for shape in self._shapes]).reshape(-1, 4)
        self._standing = standing(town.props)
        self._places = np.array([one.box for one in self._standing]).reshape(-1, 4)
        self._tiles: dict[tuple[int, int], U8] = {}
        self._meadow = _meadow(town.seed, STONE if town.derived else GRASS)

    def crop(self, left: int, top: int, width: int, height: int) -> U8:
        """(height, width, 3) of the sheet, from the pixel (left, top) on; a fresh copy."""
        image: U8 = np.empty((height, width, 3), np.uint8)
        for row in range(top // TILE_PX, (top + height - 1) // TILE_PX + 1):
            for column in range(left // TILE_PX, (left + width - 1) // TILE_PX + 1):
                tile = self._tile(column, row)
                x, y = column * TILE_PX - left, row * TILE_PX - top
                x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + TILE_PX, width), min(
                    y + TILE_PX, height)  # fmt: skip
                image[y0:y1, x0:x1] = tile[y0 - y : y1 - y, x0 - x : x1 - x]
        return image

    def _tile(self, column: int, row: int) -> U8:
        known = self._tiles.get((column, row))
        if known is None:
            if len(self._tiles) >= MAX_TILES:
                del self._tiles[next(iter(self._tiles))]  # the oldest
            known = self._tiles[column, row] = self._painted(column, row)
        return known

    def _painted(self, column: int, row: int) -> U8:
        origin, scale = np.array([column, row]) * TILE_PX * FINE, self.scale * FINE
        corner = np.array([column, -row - 1]) * TILE_PX / self.scale
        box = (*corner, *(corner + TILE_PX / self.scale))
        image: U8 = np.empty((TILE_PX * FINE, TILE_PX * FINE, 3), np.uint8)
        image[:] = np.kron(self._meadow, np.ones((FINE, FINE, 1), np.uint8))
        for index in _inside(self._boxes, box, 0.0):
            fill(image, self._shapes[index], origin, scale)
        near = [self._standing[i] for i in _inside(self._places, box, REACH_M)]
        self._shade(image, near, origin, scale)
        for one in near:
            for shape in one.shapes:
                fill(image, shape, origin, scale)
        return np.asarray(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA))

    def _shade(self, image: U8, near: list[DrawnProp], origin: F64, scale: float) -> None:
        """Soft shadows. Painted beyond the tile's edges: a blur needs its surroundings."""
        edge = int(3 * SHADOW_BLUR_M * scale)
        side = image.shape[0] + 2 * edge
        cover = np.zeros((side, side), np.uint8)
        for one in near:
            ring = to_sheet(shadow_of(one), scale) - origin + edge
            cv2.fillPoly(cover, [drawing.fixed(ring)], 255, cv2.LINE_AA, drawing.SHIFT)
        if not cover.any():
            return
        soft = cv2.GaussianBlur(cover, (0, 0), SHADOW_BLUR_M * scale)[edge:-edge, edge:-edge]
        light = 1.0 - soft.astype(np.float32) * (SHADOW / 255.0)
        image[:] = (image * light[..., None]).astype(np.uint8)


def to_sheet(points: F64, scale: float) -> F64:
    """(..., 2) places [m] -> OpenCV's pixel coordinates on the endless sheet."""
    return np.asarray(points[..., :2] * (scale, -scale) - 0.5)


def fill(image: U8, shape: Shape, origin: F64, scale: float) -> None:
    """One shape; origin: (2,) the image's first pixel on the sheet."""
    pixels = drawing.fixed(to_sheet(shape.points, scale) - origin)
    if shape.width:
        width = max(1, round(shape.width * scale))
        cv2.polylines(image, [pixels], False, shape.color, width, cv2.LINE_AA, drawing.SHIFT)
    else:
        cv2.fillPoly(image, [pixels], shape.color, cv2.LINE_AA, drawing.SHIFT)


def _inside(boxes: F64, box: Sequence[float], reach: float) -> list[int]:
    """Those of the boxes (n, 4) that touch a box, in their order."""
    x0, y0, x1, y1 = box
    near = (boxes[:, 0] < x1 + reach) & (boxes[:, 2] > x0 - reach)
    near &= (boxes[:, 1] < y1 + reach) & (boxes[:, 3] > y0 - reach)
    return [int(i) for i in np.flatnonzero(near)]


def _meadow(seed: int, color: Rgb) -> U8:
    """A tile of ground that continues itself at its edges."""
    rough = np.random.default_rng([max(seed, 0), MEADOW]).normal(size=(12, 12))
    wide = np.pad(rough, 4, mode="wrap").astype(np.float32)
    step = TILE_PX // 12 + 1
    big = cv2.resize(wide, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
    part = cv2.resize(big[4 * step : 16 * step, 4 * step : 16 * step], (TILE_PX, TILE_PX))
    meadow = np.array(color) + SPREAD * part[..., None] * [1.0, 0.9, 0.8]
    return np.asarray(np.clip(meadow, 0, 255), np.uint8)
