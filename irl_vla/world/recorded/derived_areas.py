"""Areas that a recorded map lacks, derived from its lanes.

Everything made here is named in `Town.derived`, so that no reader takes it for recorded.
May import: types, frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from irl_vla.frames import wrap_angle
from irl_vla.types import F64

CLOSING = 1.0  # [m] gaps between lanes of up to twice this are asphalt too
CLUSTER = 3.0  # [m] crossings nearer than twice this belong to one intersection
CROSSING_ANGLE = np.deg2rad(20.0)  # lanes that differ by less run side by side; folded to 0..90°
CROSSING_AREA = 0.5  # [m²] less overlap is a matter of drawing
DETAIL = 0.01  # [m] outlines keep corners that matter more than this
SEAM = 0.001  # [m] pieces overlap by this, so that no point falls between them
SMALLEST = 0.1  # [m²] smaller pieces are dropped


class LaneOverlap(NamedTuple):
    """Lanes a < b whose ground overlaps at different headings, and the ground they share."""

    a: int
    b: int
    shared: BaseGeometry


def ring_of(polygon: shapely.Polygon) -> F64:
    """(m, 2) outer corners, not closed."""
    return np.asarray(shapely.get_coordinates(polygon.exterior)[:-1], np.float64)


def polygon_of(ring: F64) -> shapely.Polygon:
    """The largest simple polygon of a ring that may cross itself; empty where there is none."""
    shape = shapely.make_valid(shapely.Polygon(ring)) if len(ring) > 2 else shapely.Polygon()
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    best = max(parts, key=lambda part: float(part.area), default=shapely.Polygon())
    return shapely.Polygon(best.exterior)


def strip(line: F64, width: float) -> shapely.Polygon:
    """The ground under a lane of known centre line (n, 2) and width [m], ends cut square."""
    grown = shapely.LineString(line).buffer(width / 2.0, cap_style="flat")
    return max(
        (shapely.Polygon(part.exterior) for part in shapely.get_parts(grown)),
        key=lambda part: float(part.area),
    )


def simple_rings(area: BaseGeometry) -> list[F64]:
    """Polygons without holes that cover an area: whoever has a hole is cut in two through it."""
    rings: list[F64] = []
    waiting = [part for part in shapely.get_parts(area) if isinstance(part, shapely.Polygon)]
    while waiting:
        polygon = waiting.pop()
        if polygon.area < SMALLEST:
            continue
        if not polygon.interiors:
            rings.append(ring_of(polygon))
            continue
        hole = polygon.interiors[0].centroid
        west, south, east, north = polygon.bounds
        for half in (
            shapely.box(west, south, hole.x + SEAM, north),
            shapely.box(hole.x, south, east, north),
        ):
            waiting += [
                part for part in shapely.get_parts(polygon.intersection(half))
                if isinstance(part, shapely.Polygon)
            ]  # fmt: skip
    return rings


def closed_union(polygons: Sequence[shapely.Polygon]) -> BaseGeometry:
    """Union of lanes closed by CLOSING: the drivable area of a map that has none."""
    closed = shapely.union_all([polygon.buffer(CLOSING) for polygon in polygons]).buffer(-CLOSING)
    return shapely.union_all([closed, *polygons]).simplify(DETAIL)


def crossings(polygons: Sequence[shapely.Polygon], centres: Sequence[F64]) -> list[LaneOverlap]:
    """Pairs of lanes that overlap with different headings. centres: (n, 3) poses of each lane.

    Headings are compared where the overlap is; opposite directions side by side do not cross.
    """
    found = []
    pairs = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    for a, b in sorted((int(a), int(b)) for a, b in pairs.T if a < b):
        shared = polygons[a].intersection(polygons[b])
        if shared.area < CROSSING_AREA:
            continue
        middle = np.array(shared.centroid.coords[0])
        turn = abs(float(wrap_angle(_heading(centres[a], middle) - _heading(centres[b], middle))))
        if min(turn, np.pi - turn) > CROSSING_ANGLE:
            found.append(LaneOverlap(a, b, shared))
    return found


def intersections(crossed: Sequence[LaneOverlap], drivable: BaseGeometry) -> list[shapely.Polygon]:
    """Clusters of crossings: the convex hull of each, as far as it is drivable; without holes and
    apart from one another."""
    grown = shapely.union_all([crossing.shared.buffer(CLUSTER) for crossing in crossed])
    hulls = [part.buffer(-CLUSTER).convex_hull for part in shapely.get_parts(grown)]
    joined = shapely.union_all(hulls).intersection(drivable).simplify(DETAIL)
    return [polygon_of(ring) for ring in simple_rings(joined)]


def _heading(centre: F64, at: F64) -> float:
    """Heading of the vertex of a centre line that is nearest to a point."""
    return float(centre[np.argmin(((centre[:, :2] - at) ** 2).sum(axis=1)), 2])
