"""The corrected route -> the drivable polygons around the ego, its lane, and the centre line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from irl_vla.frames import wrap_angle
from irl_vla.navsim.city_map import Block, CityMap, LayerName, MapLane
from irl_vla.navsim.map_queries import near
from irl_vla.types import F64, InputError

MAP_RADIUS = 100.0  # [m] half side of the square around the ego's centre
MAX_BLOCKS_AHEAD = 30  # the centre line ends at most this many blocks from the start


@dataclass(frozen=True)
class Area:
    """One polygon of the drivable map. lane: set for lanes and lane connectors"""

    id: str
    layer: LayerName
    polygon: BaseGeometry
    lane: MapLane | None = None


def drivable_map(city: CityMap, centre: F64) -> list[Area]:
    """Polygons around the ego's centre (x, y), in the order of the original: roadblocks, their
    lanes, connectors of the connector blocks, intersections, car parks. Connector blocks
    themselves are left out."""
    x, y = float(centre[0]), float(centre[1])
    blocks = {
        layer: [
            block for i in near(city, x, y, MAP_RADIUS, layer)
            if (block := city.block_in(layer, i)) is not None
        ]
        for layer in (LayerName.ROADBLOCK, LayerName.ROADBLOCK_CONNECTOR)
    }  # fmt: skip
    areas = [Area(b.id, LayerName.ROADBLOCK, b.polygon) for b in blocks[LayerName.ROADBLOCK]]
    for layer, inside in (
        (LayerName.ROADBLOCK, LayerName.LANE),
        (LayerName.ROADBLOCK_CONNECTOR, LayerName.LANE_CONNECTOR),
    ):
        for block in blocks[layer]:
            areas += [Area(lane.id, inside, lane.polygon, lane) for lane in city.lanes_of(block)]
    for layer in (LayerName.INTERSECTION, LayerName.CARPARK_AREA):
        table = city.layer(layer)
        rows = table.rows_in_square(x, y, MAP_RADIUS)
        areas += [Area(table.id(row), layer, table.shape(row)) for row in rows]
    return areas


def starting_lane(
    areas: Sequence[Area], lanes: Mapping[str, MapLane], pose: F64, centre: F64, footprint: F64
) -> MapLane:
    """The route lane that the ego is on.

    First choice: polygons of the drivable map that touch the rear axle and whose id is that of a
    route lane (ids of ALL types are compared: a car park may stand for the lane of the same id),
    the one with the least heading error. Else the first route lane that contains the ego's centre,
    else the one nearest to its footprint (4, 2).
    """
    if not lanes:
        raise InputError("the route has no lanes; is the map whole?")
    axle = shapely.Point(pose[0], pose[1])
    touched = [
        lanes[area.id] for area in areas if area.id in lanes and area.polygon.intersects(axle)
    ]
    if touched:
        return min(touched, key=lambda lane: heading_error(lane, pose))
    middle, box = shapely.Point(centre), shapely.Polygon(footprint)
    for lane in lanes.values():
        if lane.polygon.contains(middle):
            return lane
    return min(lanes.values(), key=lambda lane: lane.polygon.distance(box))


def heading_error(lane: MapLane, pose: F64) -> float:
    """|heading error| [rad] at the baseline vertex nearest to the pose."""
    points = lane.baseline.points
    vertex = int(np.argmin(((points[:, :2] - pose[:2]) ** 2).sum(axis=-1)))
    return abs(float(wrap_angle(points[vertex, 2] - pose[2])))


def lane_plan(
    city: CityMap, start: MapLane, blocks: Sequence[Block], lanes: Mapping[str, MapLane]
) -> list[MapLane]:
    """Shortest way over route lanes from `start` to any lane of the last block.

    Dijkstra; entering a lane costs the length of its baseline; equal costs are expanded in the
    order of discovery. If the last block cannot be reached: the way to the deepest expanded lane,
    the cheapest among these.
    """
    ids = [block.id for block in blocks]
    first = ids.index(start.block) if start.block in ids else 0
    goal = blocks[first : first + MAX_BLOCKS_AHEAD][-1].id
    # The start costs 1 in the original; a constant, but it takes part in the rounding.
    queue: dict[str, tuple[float, int, MapLane]] = {start.id: (1.0, 1, start)}
    parent: dict[str, MapLane | None] = {start.id: None}
    done: dict[str, tuple[float, int, MapLane]] = {}
    while queue:
        lane_id = min(queue, key=lambda i: queue[i][0])  # the first of equals
        cost, depth, lane = queue.pop(lane_id)
        if lane.block == goal:
            return _way_to(lane, parent)
        done[lane_id] = (cost, depth, lane)
        for following in city.outgoing(lane):
            if following.id not in lanes or following.id in done:
                continue
            total = cost + following.baseline.length
            if following.id not in queue or total < queue[following.id][0]:
                # An improved entry keeps its place in the queue (dicts do).
                queue[following.id] = (total, depth + 1, following)
                parent[following.id] = lane
    deepest = max(depth for _, depth, _ in done.values())
    _, _, end = min((entry for entry in done.values() if entry[1] == deepest), key=lambda e: e[0])
    return _way_to(end, parent)


def _way_to(lane: MapLane, parent: Mapping[str, MapLane | None]) -> list[MapLane]:
    way: list[MapLane] = []
    step: MapLane | None = lane
    while step is not None:
        way.append(step)
        step = parent[step.id]
    return way[::-1]


def centerline_of(plan: Sequence[MapLane]) -> F64:
    """(n, 3) x, y, heading of all baseline vertices; where two lanes meet, the shared vertex
    appears twice (with two headings), as in the original."""
    return np.concatenate([lane.baseline.points for lane in plan])
