"""The parts `metric_cache`, `scores` and `script_csv` of dump.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely

from irl_vla.data.navsim.city_map import CityMap, LayerName
from irl_vla.data.navsim.dataset import Dataset, index_split
from irl_vla.data.navsim.detections import detections_of
from irl_vla.data.navsim.preparation import Preparation, prepare
from irl_vla.data.navsim.records import OBJECT_TYPES, Window
from irl_vla.data.navsim.scoring_scene import ego_state
from irl_vla.data.navsim.tracks import STEPS_PER_FRAME, sights_of
from irl_vla.scoring.scene import STEPS

CACHED = {"syn_test": "mc_test", "syn_two_stage": "mc_two", "syn_routes": "mc_routes"}
AREA_NAMES = {
    LayerName.ROADBLOCK: "ROADBLOCK",
    LayerName.LANE: "LANE",
    LayerName.LANE_CONNECTOR: "LANE_CONNECTOR",
    LayerName.INTERSECTION: "INTERSECTION",
    LayerName.CARPARK_AREA: "CARPARK_AREA",
}
OCCUPANCY_STEPS = (0, 13, 40)


def prepared_scenes(dataset: Dataset) -> Iterator[tuple[str, Preparation]]:
    """Split name and prepared scene; a token of two splits comes twice, the last one counts."""
    cities: dict[str, CityMap] = {}
    for name in CACHED:
        index = index_split(dataset, dataset.split(name))
        for token in index.places:
            window = index.window(token)
            city = window.metadata.map_name
            if city not in cities:
                cities[city] = CityMap.open(dataset.maps, city)
            yield name, prepare(window, cities[city])


def metric_cache(dataset: Dataset, asked: dict[str, Any]) -> dict[str, Any]:
    result = {}
    for split, prepared in prepared_scenes(dataset):
        window = prepared.window
        result[window.token] = {
            **scene_values(split, window),
            **route_values(prepared),
            **world_values(prepared),
        }
    return result


def scene_values(split: str, window: Window) -> dict[str, Any]:
    log, token, now = window.metadata.log_name, window.token, window.now
    return {
        "split": split,
        "log": log,
        "scene_type": "SYNTHETIC" if window.is_follow_up else "ORIGINAL",
        "time_us": now.timestamp_us,
        "rel_path": f"{CACHED[split]}/{log}/unknown/{token}/metric_cache.pkl",
        "traffic_lights_now": [
            [lane, "RED" if red else "GREEN"] for lane, red in now.traffic_lights
        ],
        "past": [
            [frame.timestamp_us - now.timestamp_us, *ego_state(frame)[:7]]
            for frame in window.history
        ],
        "human": None if window.is_follow_up else window.human_trajectory(8),
        "past_tracks": [past_values(frame) for frame in window.history[:-1]],
        "map": ["nuplan-maps-v1.0", window.metadata.map_name],
    }


def past_values(frame: Any) -> list[Any]:
    found = detections_of(frame)
    return [[token, *state[:2]] for token, state in zip(found.tokens, found.states, strict=True)]


def route_values(prepared: Preparation) -> dict[str, Any]:
    line = shapely.LineString(prepared.centerline[:, :2])
    start = prepared.start_lane
    return {
        "route_in": prepared.route.given,
        "route_corrected": prepared.route.ids,
        "route_lane_ids": list(prepared.lanes),
        "start_lane": start.id,
        "start_lane_roadblock": start.block,
        "start_lane_speed_limit": start.speed_limit,
        "centerline": prepared.centerline,
        "centerline_length": line.length,
        "ego_progress": line.project(shapely.Point(prepared.centre)),
        "drivable": [
            {"id": area.id, "type": AREA_NAMES[area.layer], "area": area.polygon.area}
            for area in prepared.areas
        ],
    }


def world_values(prepared: Preparation) -> dict[str, Any]:
    tracks = prepared.tracks
    values = {}
    for index, token in enumerate(tracks.ids):
        steps = np.flatnonzero(tracks.present[index])
        values[token] = {
            "type": OBJECT_TYPES[tracks.types[index]],
            "length": tracks.sizes[index, 0],
            "width": tracks.sizes[index, 1],
            "steps": steps,
            "states": tracks.states[index, steps],
        }
    sighted = list(dict.fromkeys(t for found in sights_of(prepared.window) for t in found.tokens))
    first_sight = [sighted.index(token) for token in tracks.ids]
    in_a_step = np.lexsort((first_sight, tracks.types))
    red = [
        [f"red_light_{lane}" for lane in prepared.red[step // STEPS_PER_FRAME]]
        for step in range(STEPS)
    ]
    return {
        "tracks": values,
        "unique_track_order": list(tracks.ids),
        "red_tokens": red,
        "initial_collided": [],  # tracks that touch the ego are found when scoring, not before
        "occupancy_tokens": {
            str(step): [
                *(
                    tracks.ids[row]
                    for row in in_a_step
                    if tracks.present[row, step]
                ),
                *red[step],
            ]
            for step in OCCUPANCY_STEPS
        },
        "num_future_tracks": STEPS - 1,
    }  # fmt: skip


def scores(*a):
    return {}


def script_csv(*a):
    return {}
