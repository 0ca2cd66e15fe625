"""Questions about places: what is at a point, what is near it, where along a lane it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from irl_vla.navsim.city_map import Baseline, CityMap, LayerName, MapLane
from irl_vla.types import F64, InputError

LOOK_AHEAD = 0.5  # [m] a heading on a baseline is that of the chord over this arc length
DRIVABLE_TABLES = ("road_segments", "intersections", "generic_drivable_areas", "carpark_areas")
# Point questions about connectors use the widened polygon, proximity uses the centre line.
CONNECTOR_POLYGONS = "gen_lane_connectors_scaled_width_polygons"


def near(city: CityMap, x: float, y: float, radius: float, layer: LayerName) -> list[str]:
    """Ids whose geometry intersects the SQUARE of half side `radius` [m] (not the circle), in file
    order. Turn stops count as stop lines."""
    table = city.layer(layer)
    return [table.id(row) for row in table.rows_in_square(x, y, radius)]


def at_point(city: CityMap, x: float, y: float, layer: LayerName) -> list[str]:
    """Ids of the polygons that strictly contain the point, in file order."""
    if layer is LayerName.LANE_CONNECTOR:
        wide = city.tables[CONNECTOR_POLYGONS]
        owners = wide.id_column("lane_connector_fid")
        return [owner for row in wide.rows_containing(x, y) if (owner := owners[row]) is not None]
    table = city.layer(layer)
    return [table.id(row) for row in table.rows_containing(x, y)]


def in_layer(city: CityMap, x: float, y: float, layer: LayerName) -> bool:
    """Whether any polygon of the layer strictly contains the point."""
    if layer is LayerName.DRIVABLE_AREA:
        return any(city.tables[name].rows_containing(x, y) for name in DRIVABLE_TABLES)
    return bool(at_point(city, x, y, layer))


def nearest(city: CityMap, x: float, y: float, layer: LayerName) -> tuple[str, float] | None:
    """Id of the nearest object and its distance [m]; 0 inside. None for an empty layer."""
    table = city.layer(layer)
    found = table.nearest(x, y)
    return None if found is None else (table.id(found[0]), found[1])


@dataclass(frozen=True)
class OnBaseline:
    """The nearest place of a baseline. arc: [m] from its start; pose: (3,) x, y, heading"""

    arc: float
    pose: F64


def on_baseline(baseline: Baseline, x: float, y: float) -> OnBaseline:
    """Projects a point; the heading is that from there to `LOOK_AHEAD` further on the line. At the
    very end, where there is nothing further, it is that of the chord behind."""
    arc = float(baseline.line.project(shapely.Point(x, y)))
    here, ahead = shapely.line_interpolate_point(baseline.line, [arc, arc + LOOK_AHEAD])
    first, second = here, ahead
    if here == ahead:
        first, second = baseline.line.interpolate(arc - LOOK_AHEAD), here
    heading = np.arctan2(second.y - first.y, second.x - first.x)
    return OnBaseline(arc, np.array([here.x, here.y, heading]))


def stop_lines(city: CityMap, connector: MapLane) -> list[str]:
    """Ids of a connector's stop lines: the listed polygons that touch its baseline; if none does,
    the ONE listed polygon nearest to the baseline's first point."""
    if not connector.stop_line_ids:
        return []
    layer = city.tables["stop_polygons"]
    rows = [layer.row_of[i] for i in connector.stop_line_ids if i in layer.row_of]
    touching = [row for row in rows if layer.shape(row).intersects(connector.baseline.line)]
    if touching or not rows:
        return [layer.id(row) for row in touching]
    start = shapely.Point(connector.baseline.points[0, :2])
    return [layer.id(min(rows, key=lambda row: layer.shape(row).distance(start)))]


def boundary(city: CityMap, fid: str | None) -> BaseGeometry:
    """A lane boundary by id."""
    layer = city.tables["boundaries"]
    if fid is None or fid not in layer.row_of:
        raise InputError(f"map of '{city.city}': there is no lane boundary {fid}")
    return layer.shape(layer.row_of[fid])
