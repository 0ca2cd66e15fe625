"""One set of colours for every picture and plot, told apart by colour-blind people too.

Source of the eight hues: Okabe & Ito, "Color Universal Design" (2008). Speed is coloured with
matplotlib's `viridis` (perceptually uniform). May import: types.
"""

from __future__ import annotations

from functools import cache

import matplotlib
import numpy as np

from irl_vla.types import F64, U8

Rgb = tuple[int, int, int]

ORANGE: Rgb = (230, 159, 0)
SKY: Rgb = (86, 180, 233)
GREEN: Rgb = (0, 158, 115)
YELLOW: Rgb = (240, 228, 66)
BLUE: Rgb = (0, 114, 178)
VERMILLION: Rgb = (213, 94, 0)
PURPLE: Rgb = (204, 121, 167)
RED: Rgb = (240, 40, 50)  # not of the eight: for red lights alone, always drawn thick
WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)

CANVAS: Rgb = (17, 22, 29)  # behind everything that is drawn rather than photographed
TILE: Rgb = (52, 58, 66)  # a camera without an image
FAINT: Rgb = (62, 70, 80)  # grid lines on the canvas
MUTED: Rgb = (150, 158, 168)  # labels on the canvas

TOP_SPEED = 20.0  # [m/s] the fast end of the colour scale; faster looks the same

_CLASS_WORDS: tuple[tuple[str, Rgb], ...] = (  # first match in the lower-case label wins
    ("bicycl", YELLOW), ("motorcycl", YELLOW), ("cycl", YELLOW), ("rider", YELLOW),
    ("pedestrian", ORANGE), ("person", ORANGE),
    ("truck", PURPLE), ("bus", PURPLE), ("trailer", PURPLE), ("construction", PURPLE),
    ("cone", VERMILLION), ("barrier", VERMILLION),
    ("car", SKY), ("vehicle", SKY), ("van", SKY),
)  # fmt: skip


def class_color(label: str) -> Rgb:
    """Colour of a kind of thing by the words in its name; white for a kind nobody knows."""
    lowered = label.lower()
    return next((color for word, color in _CLASS_WORDS if word in lowered), WHITE)


def hex_color(color: Rgb) -> str:
    """(r, g, b) -> "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def on(color: Rgb) -> Rgb:
    """Black or white, whichever reads better on `color` (luma of ITU-R BT.601)."""
    red, green, blue = color
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


@cache
def _speed_table() -> U8:
    colors = matplotlib.colormaps["viridis"](np.linspace(0.15, 1.0, 256))
    return np.asarray(np.round(colors[:, :3] * 255), np.uint8)


def speed_colors(speeds: F64) -> list[Rgb]:
    """(n,) speeds [m/s] -> n colours, dark for slow, yellow for TOP_SPEED and faster."""
    index = np.clip(np.nan_to_num(speeds) / TOP_SPEED * 255, 0, 255).astype(int)
    return [(int(r), int(g), int(b)) for r, g, b in _speed_table()[index]]
