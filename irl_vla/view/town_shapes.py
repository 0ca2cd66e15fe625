"""What a town's ground is drawn with: flat shapes in metres, sorted into layers.

In: Town   Out: Shape values, global frame, x east, y north   May import: frames, world, types,
palette.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from irl_vla.frames import arc_lengths, box_corners, step_lengths
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64
from irl_vla.view.palette import Rgb
from irl_vla.world.town import NONE, Crosswalk, Lane, Marking, ParkingSpace, Town

ASPHALT: Rgb = (92, 96, 103)
WORN: Rgb = (86, 90, 97)  # where the tyres run
PARK: Rgb = (112, 115, 120)
PATH: Rgb = (196, 192, 182)
PATH_EDGE: Rgb = (176, 172, 160)
KERB: Rgb = (166, 167, 164)
PAINT: Rgb = (236, 236, 230)
YELLOW_PAINT: Rgb = (236, 186, 62)
CLOSED: Rgb = (126, 110, 92)
FAINT_PAINT: Rgb = (132, 136, 142)  # lane borders of a map that knows no paint

PATH_M, KERB_M, SPOT_M = 2.2, 0.22, 0.1  # [m] widths of footpaths, kerbs, lines of bays
TRACK_M, TRACK_WIDTH_M = 0.8, 0.45  # [m] wheels from the middle of a lane; width of their traces
DASH_M, GAP_M = 3.0, 6.0  # [m] of dashed lines, as on streets in towns (RMS, Germany)
STRIPE_M, STRIPE_GAP_M = 0.5, 0.6  # [m] of zebra crossings
ARROW_M = 0.18  # [m] least width of an arrow's shaft


@dataclass(frozen=True)
class Shape:
    """points: (n, 2) [m]. width: of an open line [m], its corners are rounded; 0: a filled ring."""

    points: F64
    color: Rgb
    width: float = 0.0

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of what it covers [m]."""
        low = self.points.min(axis=0) - self.width
        high = self.points.max(axis=0) + self.width
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def ground_shapes(town: Town) -> list[Shape]:
    """Everything flat, in the order of painting."""
    shapes = [Shape(line, PATH_EDGE, PATH_M + 0.3) for line in town.footpaths if len(line) > 1]
    shapes += [Shape(line, PATH, PATH_M) for line in town.footpaths if len(line) > 1]
    shapes += _rings(town.carparks, PARK)
    shapes += _rings(town.drivable, ASPHALT)
    if not len(town.drivable):
        shapes += [Shape(lane.polygon, ASPHALT) for lane in town.lanes if len(lane.polygon) > 2]
    shapes += [shape for lane in town.lanes if lane.junction == NONE for shape in _worn(lane)]
    shapes += [_closed(town.lanes[c.lane], c.begin, c.end) for c in town.closures]
    shapes += [shape for spot in town.spots for shape in _bay(spot)]
    shapes += [Shape(line, KERB, KERB_M) for line in town.kerbs if len(line) > 1]
    for marking in town.markings:
        shapes += _paint(marking)
    if not town.markings:
        shapes += [shape for lane in town.lanes for shape in _borders(lane)]
        shapes += [shape for walk in town.crosswalks for shape in _zebra(walk.polygon)]
    elif not any(marking.kind == "zebra" for marking in town.markings):
        shapes += [shape for walk in town.crosswalks for shape in _walk(walk)]
    return [shape for shape in shapes if np.isfinite(shape.points).all()]


def ribbon(line: F64, width: float) -> F64:
    """(n, 2) middle -> (2 n, 2) ring of constant width with straight ends."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    aside = np.column_stack([-along[:, 1], along[:, 0]]) * (width / 2)
    return np.vstack([line + aside, (line - aside)[::-1]])


def cut(line: F64, begin: float, end: float) -> F64:
    """The part of a line (n, 2+) between two distances along it [m]; only x, y are returned."""
    line = line[:, :2]
    along = arc_lengths(line)
    begin, end = max(begin, 0.0), min(end, along[-1])
    at = np.array([begin, *along[(along > begin) & (along < end)], end])
    return np.column_stack([np.interp(at, along, line[:, i]) for i in (0, 1)])


def shifted(line: F64, aside: float) -> F64:
    """(n, 3) poses -> (n, 2) points, `aside` metres to their left."""
    return line[:, :2] + aside * np.column_stack([-np.sin(line[:, 2]), np.cos(line[:, 2])])


def _rings(polygons: Polygons, color: Rgb) -> list[Shape]:
    return [Shape(polygons.ring(i), color) for i in range(len(polygons))]


def _worn(lane: Lane) -> list[Shape]:
    sides = (-TRACK_M, TRACK_M)
    return [Shape(ribbon(shifted(lane.centre, y), TRACK_WIDTH_M), WORN) for y in sides]


def _closed(lane: Lane, begin: float, end: float) -> Shape:
    return Shape(ribbon(cut(lane.centre, begin, end), lane.width), CLOSED)


def _bay(spot: ParkingSpace) -> list[Shape]:
    ring = box_corners(spot.pose[None], np.array([[spot.length, spot.width]]))[0]
    return [Shape(ribbon(ring[[i, j]], SPOT_M), PAINT) for i, j in ((0, 3), (1, 2))]


def _paint(marking: Marking) -> list[Shape]:
    color = YELLOW_PAINT if marking.yellow else PAINT
    if marking.kind == "zebra":
        return _zebra(marking.line)
    if len(marking.line) < 2:
        return []
    if marking.kind == "dashed":
        return [Shape(ribbon(part, marking.width), color) for part in _dashes(marking.line)]
    if marking.kind == "arrow":
        return _arrow(marking.line, max(marking.width, ARROW_M))
    return [Shape(ribbon(marking.line, marking.width), color)]


def _dashes(line: F64) -> list[F64]:
    length = float(step_lengths(line).sum())
    starts = np.arange(0.0, length, DASH_M + GAP_M)
    return [cut(line, s, s + DASH_M) for s in starts if min(s + DASH_M, length) - s > 0.3]


def _arrow(line: F64, width: float) -> list[Shape]:
    """Shaft along the line, head at its end."""
    step = line[-1] - line[-2]
    ahead = step / max(float(np.linalg.norm(step)), 1e-9)
    aside = np.array([-ahead[1], ahead[0]])
    tip, half = line[-1] + 0.5 * ahead, 0.45
    head = np.stack([tip + 0.7 * ahead, tip - 0.4 * ahead + half * aside,
                     tip - 0.4 * ahead - half * aside])  # fmt: skip
    return [Shape(ribbon(line, width), PAINT), Shape(head, PAINT)]


def _zebra(ring: F64) -> list[Shape]:
    """Stripes along the traffic over the outline (4, 2); walkers cross along its longer side."""
    if len(ring) != 4:
        return [Shape(np.vstack([ring, ring[:1]]), PAINT, 0.15)]
    a, b, c, d = ring
    if np.linalg.norm(b - a) < np.linalg.norm(d - a):
        a, b, c, d = b, c, d, a
    length = float(np.linalg.norm(b - a))
    count = max(1, int((length + STRIPE_GAP_M) / (STRIPE_M + STRIPE_GAP_M)))
    first = (length - count * STRIPE_M - (count - 1) * STRIPE_GAP_M) / 2
    stripes = []
    for index in range(count):
        begin = first + index * (STRIPE_M + STRIPE_GAP_M)
        low, high = begin / length, (begin + STRIPE_M) / length
        near, far = (a + (b - a) * np.array([[low], [high]])), (d + (c - d) * [[low], [high]])
        stripes.append(Shape(np.vstack([near, far[::-1]]), PAINT))
    return stripes


def _walk(walk: Crosswalk) -> list[Shape]:
    return _zebra(walk.polygon)


def _borders(lane: Lane) -> list[Shape]:
    """Edges of a lane, for maps without markings; connectors have none."""
    if lane.junction != NONE:
        return []
    half = lane.width / 2
    return [Shape(ribbon(shifted(lane.centre, y), 0.1), FAINT_PAINT) for y in (-half, half)]
