"""The part `map` of dump.py."""

from __future__ import annotations

from typing import Any

import shapely

from irl_vla.navsim.city_map import CityMap, LayerName, MapLane
from irl_vla.navsim.dataset import Dataset
from irl_vla.navsim.map_queries import (
    DRIVABLE_TABLES,
    at_point,
    boundary,
    in_layer,
    near,
    nearest,
    on_baseline,
    stop_lines,
)


def city_values(dataset: Dataset, asked: dict[str, Any]) -> dict[str, Any]:
    city = CityMap.open(dataset.maps, asked["city"])
    tables = city.tables
    lanes = [tables["lanes_polygons"].id(r) for r in range(len(tables["lanes_polygons"]))]
    links = [tables["lane_connectors"].id(r) for r in range(len(tables["lane_connectors"]))]
    return {
        "city": city.city,
        "layers": layer_values(city),
        "lanes": {i: lane_values(city, city.lane(i)) for i in lanes},
        "connectors": {i: connector_values(city, city.connector(i)) for i in links},
        "roadblocks": block_values(city, "lane_groups_polygons"),
        "roadblock_connectors": block_values(city, "lane_group_connectors"),
        "points": [point_values(city, point) for point in asked["points"]],
        "proximal": [
            {
                **{key: square[key] for key in ("x", "y", "radius")},
                "ids": {
                    name: near(city, square["x"], square["y"], square["radius"], LayerName(name))
                    for name in square["ids"]
                },
            }
            for square in asked["proximal"]
        ],
        "baseline_points": {
            i: (city.lane(i) if i in lanes else city.connector(i)).baseline.points
            for i in asked["baseline_points"]
        },
        "polygon_points": {name: polygon_values(city, name) for name in asked["polygon_points"]},
    }


def layer_values(city: CityMap) -> dict[str, Any]:
    values = {}
    for name, layer in city.tables.items():
        shapes = [layer.shape(row) for row in range(len(layer))]
        values[name] = shape_values([layer.id(row) for row in range(len(layer))], shapes)
    union = [values[name] for name in DRIVABLE_TABLES]
    values["drivable_area"] = {
        "n": sum(entry["n"] for entry in union),
        **{key: [v for entry in union for v in entry[key]] for key in ("fids", "area", "length")},
    }
    return values


def shape_values(fids: list[str], shapes: list[Any]) -> dict[str, Any]:
    return {
        "n": len(fids),
        "fids": fids,
        "area": shapely.area(shapes),
        "length": shapely.length(shapes),
    }


def polygon_values(city: CityMap, name: str) -> Any:
    table, fid = name.split("/")
    layer = city.tables[table]
    return shapely.get_coordinates(layer.shape(layer.row_of[fid]))


def edge_values(city: CityMap, lane: MapLane) -> dict[str, Any]:
    points = lane.baseline.points
    return {
        "roadblock": lane.block,
        "speed_limit": lane.speed_limit,
        "area": lane.polygon.area,
        "baseline": {
            "length": lane.baseline.length,
            "n": len(points),
            "first": points[0],
            "second": points[1],
            "last": points[-1],
        },
        "left_len": boundary(city, lane.left_boundary).length,
        "right_len": boundary(city, lane.right_boundary).length,
        "incoming": lane.incoming,
        "outgoing": lane.outgoing,
    }


def lane_values(city: CityMap, lane: MapLane) -> dict[str, Any]:
    return {**edge_values(city, lane), "index": lane.index, "adjacent": lane.neighbours}


def connector_values(city: CityMap, lane: MapLane) -> dict[str, Any]:
    lines = stop_lines(city, lane)
    lights = bool(lane.stop_line_ids)
    return {**edge_values(city, lane), "has_lights": lights, "stop_lines": lines}


def block_values(city: CityMap, table: str) -> dict[str, Any]:
    layer, values = city.tables[table], {}
    for row in range(len(layer)):
        block = city.block(layer.id(row))
        assert block is not None
        values[block.id] = {
            "area": block.polygon.area,
            "interior": block.lanes,
            "incoming": block.incoming,
            "outgoing": block.outgoing,
            "intersection": block.intersection,
        }
    return values


def point_values(city: CityMap, asked: dict[str, Any]) -> dict[str, Any]:
    x, y = asked["x"], asked["y"]
    values: dict[str, Any] = {
        "x": x,
        "y": y,
        "objects": {name: at_point(city, x, y, LayerName(name)) for name in asked["objects"]},
        "in_layer": {name: in_layer(city, x, y, LayerName(name)) for name in asked["in_layer"]},
        "nearest": {name: nearest(city, x, y, LayerName(name)) for name in asked["nearest"]},
    }
    if asked.get("baseline"):
        lane = nearest(city, x, y, LayerName.LANE)
        assert lane is not None
        found = on_baseline(city.lane(lane[0]).baseline, x, y)
        values["baseline"] = {"lane": lane[0], "arc": found.arc, "pose": found.pose}
    return values
