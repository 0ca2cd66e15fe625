"""The ground of a town as textures: painted piece by piece where somebody looks.

Of the finest levels only the surroundings of the ego are kept, in blocks that are painted when it
comes near; the coarser ones cover the whole town. A block depends on the town and the weather
alone, never on who looked before. May import: types, scoring.compiled, world.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.scoring.compiled import kernel
from irl_vla.types import F32, F64, U8
from irl_vla.world.render.outlines import Outlines
from irl_vla.world.render.quads import GROUND
from irl_vla.world.render.texels import (
    BLOCK,
    GROUND_START,
    LEVELS,
    PAGE,
    PAGED,
    TEXEL_M,
)  # fmt: skip
from irl_vla.world.render.weather import SALT, Weather, fractal, packed
from irl_vla.world.town import Town

U32 = NDArray[np.uint32]
MARGIN_M = 40.0  # [m] of grass around the town
COARSE = 1 << PAGED  # finest texels in one of the first level that is held whole, each way
ANY = (1 << 40) - 1  # a mask that lets every coordinate pass
MACRO_SIDE = 512  # [px] of that level, after which its spots repeat
GRAIN = np.array([0, 0.10, 0.055, 0.03, 0.05, 0, 0.12], np.float32)  # of each class: fine noise
MACRO = np.array([0, 0.10, 0.05, 0.05, 0.05, 0, 0.12], np.float32)  # and spots of metres


class GroundTextures:
    """Textures of one town under one weather, as shade.py reads them.

    origin: (2,) the corner where they begin, world [m]
    levels: (LEVELS, 5) where each begins, its stride, mask of coordinates, last column and row
    texels: the flat array that they are written into
    """

    def __init__(self, town: Town, weather: Weather) -> None:
        self._outlines = Outlines(town, weather)
        low, high = self._outlines.low - MARGIN_M, self._outlines.high + MARGIN_M
        columns, rows = (int(n) for n in np.ceil((high - low) / (BLOCK * TEXEL_M)))
        self.origin = low
        self._blocks = (rows, columns)
        rng = np.random.default_rng([weather.seed, SALT, 3])
        self._grain = _grain(rng)
        self._macro = fractal(rng, MACRO_SIDE, MACRO_SIDE, 5, (8, 8))
        self._gains = _gains(weather)
        self._owners: dict[tuple[int, int, int], tuple[int, int]] = {}
        sizes = [(rows * BLOCK >> k, columns * BLOCK >> k) for k in range(LEVELS)]
        starts = [GROUND_START + k * PAGE * PAGE for k in range(PAGED + 1)]
        for high, wide in sizes[PAGED:]:
            starts.append(starts[-1] + high * wide)
        paged = [(PAGE, PAGE - 1) if k < PAGED else (sizes[k][1], ANY) for k in range(LEVELS)]
        self.levels = np.array(
            [(starts[k], *paged[k], sizes[k][1] - 1, sizes[k][0] - 1) for k in range(LEVELS)],
            np.int64,
        )
        self.texels = np.zeros(starts[-1], np.uint32)
        wholes = [
            self.texels[starts[k] : starts[k + 1]].reshape(sizes[k]) for k in range(PAGED, LEVELS)
        ]
        faint = self._grain * np.float32(0.45)
        self._paint(self.origin, TEXEL_M * COARSE, self._macro, faint, wholes[0])
        for fine, coarse in pairwise(wholes):
            coarse[:] = _halved(fine)

    def classes(self, places: F64) -> U8:
        """(n,) class of the ground at places (n, 2), world, to a third of a metre; GROUND outside
        of the town."""
        start, stride, _, last, lowest = self.levels[PAGED]
        at = np.floor((places - self.origin) / (TEXEL_M * COARSE)).astype(np.int64)
        inside = ((at >= 0) & (at <= [last, lowest])).all(axis=1)
        column, row = np.where(inside[:, None], at, 0).T
        kinds = (self.texels[start + row * stride + column] >> np.uint32(24)) & np.uint32(0x7F)
        return np.where(inside, kinds, GROUND).astype(np.uint8)

    def prepare(self, place: F64, reach: tuple[float, ...]) -> None:
        """Paints what is missing of the paged levels around a place (2,), world; reach: of each."""
        x, y = np.asarray(place, np.float64) - self.origin
        for level, radius in enumerate(reach):
            side = BLOCK * TEXEL_M * 2**level
            for j in range(int((y - radius) // side), int((y + radius) // side) + 1):
                for i in range(int((x - radius) // side), int((x + radius) // side) + 1):
                    # only what is near enough, and inside the town
                    dx = max(i * side - x, x - (i + 1) * side, 0.0)
                    dy = max(j * side - y, y - (j + 1) * side, 0.0)
                    last = (self._blocks[0] - 1) >> level, (self._blocks[1] - 1) >> level
                    inside = 0 <= j <= last[0] and 0 <= i <= last[1]
                    if inside and dx * dx + dy * dy < (radius + 0.2) ** 2:
                        self._page(level, j, i)

    def _page(self, level: int, j: int, i: int) -> None:
        """Paints one block into its place, unless it is there."""
        slot = level, j % 4, i % 4
        if self._owners.get(slot) == (j, i):
            return
        texel = TEXEL_M * 2**level
        corner = self.origin + np.array([i, j]) * BLOCK * texel
        step = BLOCK * 2**level // COARSE
        window = _wrapped(self._macro, j * step - 1, i * step - 1, step + 3)
        at = (np.arange(BLOCK, dtype=np.float32) + 0.5) * (2**level / COARSE) + 0.5
        columns, rows = np.meshgrid(at, at)
        macro = np.asarray(cv2.remap(window, columns, rows, cv2.INTER_LINEAR), np.float32)
        grain = self._grain if level == 0 else self._grain * np.float32(0.7)
        page = self.texels[GROUND_START + level * PAGE * PAGE :][: PAGE * PAGE].reshape(PAGE, PAGE)
        top, left = slot[1] * BLOCK, slot[2] * BLOCK
        out = page[top : top + BLOCK, left : left + BLOCK]
        self._paint(corner, texel, macro, grain, out)
        self._owners[slot] = (j, i)

    def _paint(self, corner: F64, texel: float, macro: F32, grain: F32, out: U32) -> None:
        """Fills out (rows, columns), packed colours and classes; row 0 lies at the corner's y."""
        rows, columns = out.shape
        kinds, colours, sunlit = self._outlines.paint(corner, (rows, columns), texel)
        lit = out if out.flags.c_contiguous else np.empty(out.shape, np.uint32)
        _lit(kinds, colours, sunlit, macro, grain, GRAIN, MACRO, self._gains, lit)
        if lit is not out:
            out[:] = lit


def _wrapped(field: F32, row: int, column: int, side: int) -> F32:
    """(side, side) of a field that repeats, from (row, column)."""
    rows = np.arange(row, row + side) % field.shape[0]
    columns = np.arange(column, column + side) % field.shape[1]
    return np.asarray(field[rows[:, None], columns[None, :]], np.float32)


def _grain(rng: np.random.Generator) -> F32:
    """(BLOCK, BLOCK) fine noise of deviation about 1 that repeats."""
    noise = rng.standard_normal((BLOCK, BLOCK), np.float32)
    wide = np.pad(noise, 1, mode="wrap")
    return np.asarray(0.7 * noise + 1.1 * cv2.blur(wide, (3, 3))[1:-1, 1:-1], np.float32)


def _gains(weather: Weather) -> F32:
    """(2, 3) light on level ground: in the sun's shadow, and what the sun adds."""
    sun = weather.light[:3] * weather.to_sun[2]
    return np.stack([weather.light[3:6], sun]).astype(np.float32)


def _halved(image: U32) -> U32:
    """Every other size; colours are averaged, classes taken from every second texel."""
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    image = np.ascontiguousarray(image[: rows * 2, : columns * 2])
    channels: U8 = image.view(np.uint8).reshape(*image.shape, 4)
    small = cv2.resize(channels, (columns, rows), interpolation=cv2.INTER_AREA)
    return packed(small[..., :3], channels[::2, ::2, 3])


@kernel
def _lit(
    kinds: Any, colours: Any, sunlit: Any, macro: Any, grain: Any, fine: Any, spots: Any,
    gains: Any, out: Any,
) -> Any:  # fmt: skip
    """Texture and light on flat colours -> out (H, W), packed. kinds: (H, W) class; colours:
    (H, W, 3); sunlit: (H, W) 0..255; macro, grain: noise that repeats, sides powers of two; fine,
    spots: their share for each class"""
    width = out.shape[1]
    scale = np.empty(width, np.float32)
    high, rows = macro.shape[0] - 1, grain.shape[0] - 1
    wide, columns = macro.shape[1] - 1, grain.shape[1] - 1
    byte = np.float32(255.0)
    for v in range(out.shape[0]):
        kind, sun, row, flat = kinds[v], sunlit[v], out[v], colours[v]
        small, large = grain[v & rows], macro[v & high]
        for u in range(width):
            noise = fine[kind[u]] * small[u & columns] + spots[kind[u]] * large[u & wide]
            scale[u] = max(np.float32(1.0) + noise, np.float32(0.0))
        for u in range(width):
            bright = np.float32(sun[u]) * np.float32(1.0 / 255.0)
            r = np.float32(flat[u, 0]) * (gains[0, 0] + bright * gains[1, 0]) * scale[u]
            g = np.float32(flat[u, 1]) * (gains[0, 1] + bright * gains[1, 1]) * scale[u]
            b = np.float32(flat[u, 2]) * (gains[0, 2] + bright * gains[1, 2]) * scale[u]
            low = np.uint32(np.uint32(np.int32(min(r, byte))))
            low |= np.uint32(np.uint32(np.int32(min(g, byte))) << np.uint32(8))
            low |= np.uint32(np.uint32(np.int32(min(b, byte))) << np.uint32(16))
            shaded = np.uint32(0x80000000 if sun[u] < 128 else 0)  # render.shade._SHADED
            row[u] = np.uint32(low | np.uint32(np.uint32(kind[u]) << np.uint32(24)) | shaded)
