"""Many cameras as one picture, arranged as they stand around the car.

In: tiles   Out: RGB   May import: frames, types, drawing, palette.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.types import U8
from irl_vla.view import drawing
from irl_vla.view.palette import CANVAS, MUTED, TILE, VERMILLION, WHITE
from irl_vla.view.report import TileBox

GAP = 6  # [px] between tiles
FRONT_SECTOR = np.radians(100.0)  # cameras that look less than this to the side stand in front
USUAL_ASPECT = 16 / 9


@dataclass(frozen=True)
class Tile:
    """One camera. image: (h, w, 3) RGB or None; note: shown on the tile, for a camera without an
    image the reason; azimuth: where it looks [rad], 0 ahead, left positive."""

    name: str
    image: U8 | None
    note: str
    azimuth: float


def azimuth_of_name(name: str) -> float:
    """Where a camera without calibration probably looks, by the words in its name [rad]."""
    low = name.lower()
    side = ("left" in low) - ("right" in low)
    if "back" in low or "rear" in low:
        return float(np.radians(180.0 - 60.0 * side)) if side >= 0 else float(np.radians(-120.0))
    return float(np.radians(55.0 * side))


def arrange(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Rows of tiles: front row from left to right, back row as seen when looking forward, so that
    a camera on the left of the car is on the left of the picture."""
    front = [t for t in tiles if abs(wrap_angle(t.azimuth)) <= FRONT_SECTOR]
    back = [t for t in tiles if abs(wrap_angle(t.azimuth)) > FRONT_SECTOR]
    front.sort(key=lambda t: -float(wrap_angle(t.azimuth)))
    back.sort(key=lambda t: float(t.azimuth % (2 * np.pi)))
    rows = [row for row in (front, back) if row]
    if len(rows) == 1 and len(rows[0]) > 4:  # all look forward, or nobody knows where
        half = -(-len(rows[0]) // 2)
        rows = [rows[0][:half], rows[0][half:]]
    return rows


def tile_width(azimuths: Sequence[float], width: int) -> int:
    """How wide each camera may be so that the mosaic is about `width`; a lone one takes 2/3."""
    blank = [Tile(str(i), None, "", azimuth) for i, azimuth in enumerate(azimuths)]
    columns = max(len(row) for row in arrange(blank))
    return int(min(width / 1.5, (width + GAP) / columns - GAP))


def mosaic(tiles: Sequence[Tile], width: int) -> U8:
    """All tiles in one RGB picture about `width` wide; images keep their aspect ratio inside equal
    cells."""
    rows = arrange(tiles)
    cell = tile_width([t.azimuth for t in tiles], width)
    ratios = [t.image.shape[1] / t.image.shape[0] for t in tiles if t.image is not None]
    cell_height = round(cell / (float(np.median(ratios)) if ratios else USUAL_ASPECT))
    columns = max(len(row) for row in rows)
    sheet = np.full(
        (len(rows) * (cell_height + GAP) - GAP, columns * (cell + GAP) - GAP, 3),
        CANVAS, np.uint8,
    )  # fmt: skip
    for r, row in enumerate(rows):
        inset = (sheet.shape[1] - (len(row) * (cell + GAP) - GAP)) // 2
        for c, tile in enumerate(row):
            x, y = inset + c * (cell + GAP), r * (cell_height + GAP)
            sheet[y : y + cell_height, x : x + cell] = _cell(tile, cell, cell_height)
    return sheet


def mosaic_boxes(tiles: Sequence[Tile], width: int, aspect: float) -> dict[str, TileBox]:
    """Where `mosaic` puts each camera. aspect: width over height of the pictures (their median)."""
    rows = arrange(tiles)
    cell = tile_width([t.azimuth for t in tiles], width)
    height = round(cell / aspect)
    columns = max(len(row) for row in rows)
    whole_w = columns * (cell + GAP) - GAP
    whole_h = len(rows) * (height + GAP) - GAP
    boxes = {}
    for r, row in enumerate(rows):
        inset = (whole_w - (len(row) * (cell + GAP) - GAP)) // 2
        for c, tile in enumerate(row):
            left, top = inset + c * (cell + GAP), r * (height + GAP)
            boxes[tile.name] = TileBox(
                left / whole_w, top / whole_h, cell / whole_w, height / whole_h, tile.name
            )
    return boxes


def _cell(tile: Tile, width: int, height: int) -> U8:
    if tile.image is None:
        return _grey(tile, width, height)
    cell = np.full((height, width, 3), CANVAS, np.uint8)
    scale = min(width / tile.image.shape[1], height / tile.image.shape[0])
    w = min(width, round(tile.image.shape[1] * scale))
    h = min(height, round(tile.image.shape[0] * scale))
    same = (h, w) == tile.image.shape[:2]
    x, y = (width - w) // 2, (height - h) // 2
    cell[y : y + h, x : x + w] = tile.image if same else drawing.resized(tile.image, w, h)
    drawing.chip(
        cell, f"{tile.name}  {tile.note}".strip(), 5, 5, drawing.text_size(min(width, 2 * height))
    )
    return cell


def _grey(tile: Tile, width: int, height: int) -> U8:
    cell = np.full((height, width, 3), TILE, np.uint8)
    for start in range(-height, width, 26):
        line = np.array([[start, height], [start + height, 0]], np.float64)
        drawing.stroke(cell, line, (60, 67, 76), 5)
    lines = textwrap.wrap(tile.note, max(12, width // 8))
    top = height / 2 - 10 * (len(lines) + 1)
    for text, size, color in [
        (tile.name, 14, WHITE), ("no image", 12, VERMILLION), *((line, 12, MUTED) for line in lines)
    ]:  # fmt: skip
        drawing.write(
            cell, text, (width - drawing.letters(text, size).shape[1]) / 2, top, size, color
        )
        top += size + 8
    return cell


def contact_sheet(images: Sequence[U8], columns: int = 1) -> U8:
    """Pictures (h, w, 3) under and beside one another at their own size, on one dark sheet."""
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    width = max(sum(i.shape[1] + GAP for i in row) - GAP for row in rows)
    height = sum(max(i.shape[0] for i in row) + GAP for row in rows) - GAP
    sheet = np.full((height, width, 3), CANVAS, np.uint8)
    y = 0
    for row in rows:
        x = 0
        for image in row:
            sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
            x += image.shape[1] + GAP
        y += max(i.shape[0] for i in row) + GAP
    return sheet
