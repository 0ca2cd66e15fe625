"""The ground around the ego as classes of cells, and what is closed by a red light.

A cell is what more than half of it is. Road users and obstacles that pictures show are painted over
the ground: vehicles and bicycles where they cover half a cell, people and obstacles, which are
smaller than a cell, wherever they stand in one. May import: irl_vla, samples.sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.frames import box_corners, to_inner, to_outer
from irl_vla.perception.preset import AGENT_CLASSES, SEG_CLASSES
from irl_vla.types import F64, U8
from irl_vla.world.closed_lanes import closed_lanes
from irl_vla.world.episode import WorldState
from irl_vla.world.render.quads import MARKING, PAVEMENT, ROAD
from irl_vla.world.town import Town
from irl_vla_training.samples.sample import BoxTruth, GroundTruth, Mask

FINE = 4  # parts of a cell, each way, that shapes are filled with
HALF = 0.5  # of a cell: it belongs to what covers so much of it
SUBPIXEL = 4  # bits of a pixel that OpenCV's fillPoly resolves
SEG = {name: SEG_CLASSES.index(name) for name in SEG_CLASSES}
SEG_OF_AGENT = {"vehicle": "vehicle", "bicycle": "vehicle", "pedestrian": "pedestrian",
                "obstacle": "obstacle"}  # fmt: skip
ORDER = ("obstacle", "vehicle", "pedestrian")  # painted one over the other
GroundAt = Callable[[F64], U8]  # places (n, 2), world -> (n,) index into quads.CLASSES


class CellPainter:
    """Fills shapes of the ego frame into the cells of a grid."""

    def __init__(self, grid: BevGrid) -> None:
        self.grid = grid
        self._corner = np.array([grid.y[0], grid.x[0]])
        extent = np.array([grid.y[1] - grid.y[0], grid.x[1] - grid.x[0]])
        self._cell = extent / [grid.cells[1], grid.cells[0]]

    def share(self, rings: Sequence[F64]) -> NDArray[np.float32]:
        """(R, S) how much of each cell the rings (n, 2) cover together."""
        rows, columns = (count * FINE for count in self.grid.cells)
        mask = np.zeros((rows, columns), np.uint8)
        for ring in rings:
            at = (ring[:, [1, 0]] - self._corner) / self._cell * FINE - 0.5
            fixed = np.round(at * (1 << SUBPIXEL)).astype(np.int32)
            cv2.fillPoly(mask, [fixed], 1, cv2.LINE_8, SUBPIXEL)
        parts = mask.reshape(rows // FINE, FINE, columns // FINE, FINE)
        return np.asarray(parts.mean(axis=(1, 3)), np.float32)

    def lines(self, lines: Sequence[F64]) -> Mask:
        """(R, S) cells that lines (n, 2) run through."""
        mask = np.zeros(self.grid.cells, np.uint8)
        for line in lines:
            at = (line[:, [1, 0]] - self._corner) / self._cell - 0.5
            fixed = np.round(at * (1 << SUBPIXEL)).astype(np.int32)
            cv2.polylines(mask, [fixed], False, 1, 1, cv2.LINE_8, SUBPIXEL)
        return mask > 0

    def middles(self, parts: int) -> F64:
        """(R * parts, S * parts, 2) x, y of the middles of equal parts of cells."""
        axes = [
            first + (np.arange(count * parts) + 0.5) * (last - first) / (count * parts)
            for (first, last), count in zip(
                (self.grid.x, self.grid.y), self.grid.cells, strict=True
            )
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ground_truth(
    town: Town, moment: WorldState, boxes: BoxTruth, seen: Mask, at: GroundAt, paint: CellPainter,
    lights: bool = True, walkways: bool = True,
) -> GroundTruth:  # fmt: skip
    """Of a town. seen: (n,) of the boxes; at: its bare ground; lights, walkways: whether it knows
    them."""
    pose = moment.ego[:3]
    reach = float(np.hypot(np.abs(paint.grid.x).max(), np.abs(paint.grid.y).max()))
    lines = [lane.centre[:, :2] for lane in town.lanes
             if np.abs(lane.centre[:, :2] - pose[:2]).max(axis=1).min() < reach]  # fmt: skip
    shut = [town.lanes[i].polygon for i in closed_lanes(town, moment)] if lights else None
    classes = np.ones(len(SEG_CLASSES), np.bool_)
    classes[SEG["walkway"]] = walkways
    return painted_ground(pose, at, lines, boxes, seen, shut, classes, paint)


def painted_ground(
    pose: F64, at: GroundAt, lines: Sequence[F64], boxes: BoxTruth, seen: Mask,
    shut: Sequence[F64] | None, classes: Mask, paint: CellPainter,
) -> GroundTruth:  # fmt: skip
    """Around a pose (3,) of the world. lines: centre lines (n, 2), world; shut: rings (n, 2) of
    lanes that a red light closes, world, None where lights are not known; classes: (7,) known."""
    seg = _bare(pose, at, paint)
    if not classes[SEG["walkway"]]:
        seg[seg == SEG["walkway"]] = SEG["nothing"]
    seg[paint.lines([_inner(line, pose) for line in lines]) & (seg == SEG["road"])] = SEG[
        "centerline"
    ]
    known = np.ones(paint.grid.cells, np.bool_)
    rings = box_corners(boxes.boxes[:, [0, 1, 6]], boxes.boxes[:, 3:5])
    hidden = [ring for ring, shows in zip(rings, seen, strict=True) if not shows]
    known[paint.share(hidden) > 0.0] = False
    names = [SEG_OF_AGENT[AGENT_CLASSES[kind]] for kind in boxes.kind]
    for name in ORDER:
        mine = [r for r, kind, shows in zip(rings, names, seen, strict=True)
                if kind == name and shows]  # fmt: skip
        covered = paint.share(mine)
        cells = covered >= HALF if name == "vehicle" else covered > 0.0
        seg[cells] = SEG[name]
        known[cells] = True
    closed = None
    if shut is not None:
        closed = paint.share([_inner(ring, pose) for ring in shut]) >= HALF
    return GroundTruth(seg, known, classes, closed)


def _bare(pose: F64, at: GroundAt, paint: CellPainter) -> U8:
    """(R, S) nothing, road or walkway, by four places in each cell."""
    inner = paint.middles(2)
    flat = np.concatenate([inner.reshape(-1, 2), np.zeros((inner[..., 0].size, 1))], axis=1)
    rows, columns = paint.grid.cells
    kinds = np.asarray(at(to_outer(flat, pose)[:, :2])).reshape(rows, 2, columns, 2)
    road = ((kinds == ROAD) | (kinds == MARKING)).mean(axis=(1, 3)) >= HALF
    walk = (kinds == PAVEMENT).mean(axis=(1, 3)) >= HALF
    seg = np.full((rows, columns), SEG["nothing"], np.uint8)
    seg[walk] = SEG["walkway"]
    seg[road] = SEG["road"]
    return seg


def _inner(points: F64, pose: F64) -> F64:
    """(n, 2) world -> ego frame."""
    return to_inner(np.column_stack([points, np.zeros(len(points))]), pose)[:, :2]
