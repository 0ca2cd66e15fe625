"""Paths PDM-Closed may follow, and which obstacles lie in their way.

    paths = paths_of(centerline)                       the centreline, 1 m right of it, 1 m left
    blocked = blocked_by(path, ...)                    (moments, n) obstacles in the corridor

A corridor is the path ahead, widened to the ego's width. The original widens with GEOS, which
rounds bends with a polygon and first removes concavities of up to 1 % of the radius: up to 13 mm.
So obstacles whose distance to the path decides for sure are decided by a kernel; only the few at
the very edge are asked of GEOS itself.
May import: frames, types, scoring.compiled, scoring.geometry, scoring.reference_forecast,
scoring.scene.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from irl_vla.frames import arc_lengths
from irl_vla.scoring.compiled import kernel, lean_kernel, plain
from irl_vla.scoring.geometry import (
    distance_to_segment,
    in_ring,
    locate_on_line,
    orientation,
)
from irl_vla.scoring.reference_forecast import MOMENTS, REFRESH_S, Obstacles
from irl_vla.scoring.scene import I8
from irl_vla.types import F64

OFFSETS = (0.0, -1.0, 1.0)  # [m] of the paths to the left of the centreline, in this order
UNSURE = 0.03  # [m] around the corridor's edge where GEOS decides; its own error is 0.013
CORNER = math.sqrt(2.0)  # a square cap reaches this many half widths from the path's end
FREE, BLOCKED, ASK = 0, 1, 2


class ReferencePath(NamedTuple):
    """poses: (n, 3), headings unwrapped; line: (n, 2); arcs: (n,) [m] arc length at each vertex."""

    poses: F64
    line: F64
    arcs: F64


def paths_of(centerline: F64) -> tuple[ReferencePath, ...]:
    """The centreline (n, 3) and its parallels, vertex by vertex (bends are not mended)."""
    side = centerline[:, 2] + np.pi / 2.0
    normal = np.stack([np.cos(side), np.sin(side)], axis=-1)
    headings = np.unwrap(centerline[:, 2])[:, None]
    lines = [plain(centerline[:, :2] + normal * offset) for offset in OFFSETS]
    return tuple(
        ReferencePath(plain(np.hstack([line, headings])), line, plain(arc_lengths(line)))
        for line in lines
    )


def way_ahead(path: ReferencePath, start: float, end: float) -> F64:
    """(m, 2) the path from arc length `start` to `end`, the corridor's spine.

    Quirk: only the path's own vertices in between, so it begins after `start` and ends before
    `end`; exact ends only where fewer than two vertices lie between.
    """
    start, end = (min(max(arc, 0.0), float(path.arcs[-1])) for arc in (start, end))
    within = (start <= path.arcs) & (path.arcs <= end)
    if within.sum() > 1:
        return plain(path.line[within])
    piece = substring(shapely.LineString(path.line), start, end)
    return plain(shapely.get_coordinates(piece))


def corridor_of(spine: F64, half_width: float) -> BaseGeometry:
    """The corridor just as the original builds it."""
    line = shapely.LineString(spine) if len(spine) > 1 else shapely.Point(spine[0])
    return line.buffer(half_width, cap_style="square")


@lean_kernel
def segments_apart(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> float:
    """Distance [m] between the segments a-b and c-d, 0 where they meet."""
    if (orientation(ax, ay, bx, by, cx, cy) > 0.0) != (orientation(ax, ay, bx, by, dx, dy) > 0.0):
        a_left = orientation(cx, cy, dx, dy, ax, ay) > 0.0
        if a_left != (orientation(cx, cy, dx, dy, bx, by) > 0.0):
            return 0.0
    return min(
        distance_to_segment(cx, cy, ax, ay, bx, by), distance_to_segment(dx, dy, ax, ay, bx, by),
        distance_to_segment(ax, ay, cx, cy, dx, dy), distance_to_segment(bx, by, cx, cy, dx, dy),
    )  # fmt: skip


@lean_kernel
def line_to_obstacle(
    line: F64, obstacles: Obstacles, a: int, sx: float, sy: float, reach: float, enough: float
) -> float:
    """Distance [m] of line (m, 2) to obstacle a shifted by (sx, sy); inf where it is beyond
    `reach`; stops searching at `enough`."""
    first, last = obstacles.offsets[a], obstacles.offsets[a + 1]
    cx, cy, radius = obstacles.centroids[a, 0], obstacles.centroids[a, 1], obstacles.radii[a]
    best = math.inf
    for i in range(max(len(line) - 1, 1)):
        ax, ay = line[i, 0] - sx, line[i, 1] - sy
        j = min(i + 1, len(line) - 1)
        bx, by = line[j, 0] - sx, line[j, 1] - sy
        if distance_to_segment(cx, cy, ax, ay, bx, by) > radius + reach:
            continue
        if in_ring(obstacles.vertices, first, last, ax, ay) >= 0:
            return 0.0
        ring = obstacles.vertices
        before = last - 1
        for n in range(first, last):
            best = min(best, segments_apart(
                ax, ay, bx, by, ring[before, 0], ring[before, 1], ring[n, 0], ring[n, 1]
            ))  # fmt: skip
            before = n
        if best <= enough:
            return best
    return best


@kernel
def sort_out(
    spine: F64, low: F64, high: F64, half_width: float, obstacles: Obstacles, verdicts: I8
) -> None:
    """Who is in the corridor around spine (m, 2) at each moment -> verdicts (moments, n).
    low, high: (2,) bounds of the spine."""
    sure, reach = half_width - UNSURE, half_width * CORNER + UNSURE
    low_x, high_x = low[0] - reach, high[0] + reach
    low_y, high_y = low[1] - reach, high[1] + reach
    ends = np.empty((1, 2))
    for a in range(len(obstacles.radii)):
        drift, radius = obstacles.drift[a], obstacles.radii[a]
        for m in range(len(verdicts)):
            if m > 0 and drift[0] == 0.0 and drift[1] == 0.0:
                verdicts[m, a] = verdicts[0, a]
                continue
            verdicts[m, a] = FREE
            sx, sy = m * REFRESH_S * drift[0], m * REFRESH_S * drift[1]
            x, y = obstacles.centroids[a, 0] + sx, obstacles.centroids[a, 1] + sy
            if (
                x + radius < low_x
                or x - radius > high_x
                or y + radius < low_y
                or y - radius > high_y
            ):
                continue
            distance = line_to_obstacle(spine, obstacles, a, sx, sy, reach, sure)
            if distance <= sure:
                verdicts[m, a] = BLOCKED
            elif distance <= half_width + UNSURE:
                verdicts[m, a] = ASK
            elif distance <= reach:  # the corners of a square cap reach further
                for end in (0, len(spine) - 1):
                    ends[0] = spine[end]
                    if line_to_obstacle(ends, obstacles, a, sx, sy, reach, sure) <= reach:
                        verdicts[m, a] = ASK


def blocked_by(spine: F64, half_width: float, obstacles: Obstacles) -> I8:
    """(moments, n) 1 where an obstacle touches the corridor around spine (m, 2) at that moment."""
    verdicts = np.empty((MOMENTS, len(obstacles.radii)), np.int8)
    low, high = spine.min(axis=0), spine.max(axis=0)
    sort_out(spine, low, high, half_width, obstacles, verdicts)
    asked = np.argwhere(verdicts == ASK)  # moment by moment
    if len(asked):
        corridor = corridor_of(spine, half_width)
        shapely.prepare(corridor)
        moving = np.abs(obstacles.drift).max(axis=1) > 0.0
        for moment, a in asked:
            if moment > 0 and not moving[a]:
                verdicts[moment, a] = verdicts[0, a]
                continue
            ring = obstacles.vertices[obstacles.offsets[a] : obstacles.offsets[a + 1]]
            moved = shapely.Polygon(ring + moment * REFRESH_S * obstacles.drift[a])
            verdicts[moment, a] = BLOCKED if corridor.intersects(moved) else FREE
    return verdicts


@lean_kernel
def places(path: ReferencePath, obstacles: Obstacles, blocked: I8, out: F64) -> None:
    """Arc length [m] on the path of the centroid of every blocking obstacle -> out (moments, n)."""
    for m in range(blocked.shape[0]):
        for a in range(blocked.shape[1]):
            if blocked[m, a] == BLOCKED:
                x = obstacles.centroids[a, 0] + m * REFRESH_S * obstacles.drift[a, 0]
                y = obstacles.centroids[a, 1] + m * REFRESH_S * obstacles.drift[a, 1]
                out[m, a] = locate_on_line(path.line, path.arcs, x, y)
