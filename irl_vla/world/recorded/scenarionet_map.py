"""map_features and dynamic_map_states of a ScenarioNet export -> RecordedMap.

Format: MetaDrive's ScenarioDescription: features by id, each with `type` and `polyline` or
`polygon`; lanes of some exports know `entry_lanes`, `exit_lanes`, `left_neighbor`,
`right_neighbor`, `speed_limit_kmh` or `_mph`.
May import: types, scoring.scene, world.recorded, world.town.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np
import shapely

from irl_vla.foreign import brief
from irl_vla.scoring.scene import SIM_DT_S
from irl_vla.types import F64, InputError
from irl_vla.world.episode import I8
from irl_vla.world.recorded.imported_town import RecordedLane, RecordedMap
from irl_vla.world.town import Light, Marking, Signal

KMH, MPH = 1.0 / 3.6, 0.44704  # [m/s]
PAINT_WIDTH = 0.12  # [m]
LAMP_HEIGHT = 5.0  # [m] where a recording does not say
DETAIL = 0.05  # [m] of lines that are only drawn
MADE_UP_LIMITS = ("nuscenes",)  # exports that write 100 km/h on connectors; nuScenes has no limits
NOT_FOR_CARS = ("LANE_BIKE_LANE",)
SHOWN = (
    ("RED", Light.RED), ("STOP", Light.RED), ("YELLOW", Light.AMBER), ("CAUTION", Light.AMBER),
    ("GREEN", Light.GREEN), ("GO", Light.GREEN),
)  # fmt: skip


def recorded_map(
    scenario: Mapping[str, Any], dataset: str, path: F64, reach: float, where: str
) -> RecordedMap:
    """What lies within `reach` [m] of a path (T, 2). dataset: name of the export, lower case.
    Raises InputError for features that are none, or without a lane."""
    around = shapely.LineString(path).buffer(reach) if len(path) > 1 else shapely.Point(path[0])
    lanes, crosswalks, markings, kerbs = [], [], [], []
    for name, feature in scenario["map_features"].items():
        spot = f"{where}: map_features '{name}'"
        if not isinstance(feature, dict) or not isinstance(feature.get("type"), str):
            raise InputError(f"{spot}: expected an object with a 'type', got {brief(feature)}")
        kind = feature["type"]
        if kind.startswith("LANE") and kind not in NOT_FOR_CARS:
            line = points(feature.get("polyline"), f"{spot}: polyline")
            if len(line) > 1 and around.intersects(shapely.LineString(line)):
                lanes.append(_lane(str(name), feature, line, dataset, spot))
        elif kind == "CROSSWALK":
            ring = points(feature.get("polygon", feature.get("polyline")), f"{spot}: polygon")
            if len(ring) > 2 and around.intersects(shapely.LineString(ring)):
                crosswalks.append(ring)
        elif kind.startswith("ROAD_"):
            line = points(feature.get("polyline"), f"{spot}: polyline")
            for piece in _pieces(line, around):
                if kind.startswith("ROAD_EDGE"):
                    kerbs.append(piece)
                else:
                    look = "dashed" if "BROKEN" in kind else "solid"
                    markings.append(Marking(look, piece, PAINT_WIDTH, "YELLOW" in kind))
    if not lanes:
        raise InputError(
            f"{where}: map_features: expected lanes within {reach:.0f} m of the recorded driver, "
            f"got none among {len(scenario['map_features'])} features; this scenario has no road "
            "to drive on, use another"
        )
    signals, unlit = _signals(scenario, {lane.id: lane.line for lane in lanes}, where)
    made_up = ("speed limits of connectors: the export's constant 100 km/h is ignored",)
    return RecordedMap(
        str(scenario["id"]), tuple(lanes), signals, tuple(crosswalks), tuple(markings),
        tuple(kerbs), (*(made_up if dataset in MADE_UP_LIMITS else ()), *unlit),
    )  # fmt: skip


def points(value: Any, where: str) -> F64:
    """(n, 2) of a list or array whose rows begin with x and y."""
    try:
        rows = [] if value is None else [(float(row[0]), float(row[1])) for row in value]
    except (TypeError, ValueError, IndexError, KeyError):
        raise InputError(f"{where}: expected rows of x and y, got {brief(value)}") from None
    found = np.array(rows, np.float64).reshape(-1, 2)
    if not np.isfinite(found).all():
        raise InputError(f"{where}: expected finite numbers, got NaN or infinity")
    return found


def _lane(
    name: str, feature: Mapping[str, Any], line: F64, dataset: str, where: str
) -> RecordedLane:
    ring = points(feature.get("polygon"), f"{where}: polygon")
    limit = float("nan")
    if dataset not in MADE_UP_LIMITS:
        for key, unit in (("speed_limit_kmh", KMH), ("speed_limit_mph", MPH)):
            said = feature.get(key)
            if isinstance(said, (int, float)) and np.isfinite(said) and said > 0:
                limit = float(said) * unit
    return RecordedLane(
        name, line, ring if len(ring) > 2 else None, limit,
        _ids(feature, "exit_lanes"), _ids(feature, "left_neighbor"),
        _ids(feature, "right_neighbor"),
    )  # fmt: skip


def _ids(feature: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Names of other lanes: texts, or objects with `feature_id`; None where the field is absent."""
    named = feature.get(key)
    if not isinstance(named, (list, tuple)):
        return None
    return tuple(
        str(item["feature_id"]) if isinstance(item, dict) and "feature_id" in item else str(item)
        for item in named
    )


def _pieces(line: F64, around: Any) -> list[F64]:
    """The parts of a drawn line that are near."""
    if len(line) < 2:
        return []
    near = shapely.LineString(line).intersection(around).simplify(DETAIL)
    return [
        np.asarray(shapely.get_coordinates(part)) for part in shapely.get_parts(near)
        if isinstance(part, shapely.LineString) and part.length > 0.0
    ]  # fmt: skip


def _signals(
    scenario: Mapping[str, Any], lines: Mapping[str, F64], where: str
) -> tuple[tuple[tuple[str, Signal], ...], tuple[str, ...]]:
    """Signals of lanes that are near, one per lane, as phases of the recorded length; and the
    word that there are none."""
    found = []
    states = scenario.get("dynamic_map_states")
    for name, record in states.items() if isinstance(states, dict) else ():
        lane = str(record.get("lane", name)) if isinstance(record, dict) else ""
        shown = _shown(record) if lane in lines else None
        if shown is None:
            continue
        phases = [(sum(1 for _ in run) * SIM_DT_S, light) for light, run in groupby(shown.tolist())]
        at, ahead = lines[lane][:2]
        facing = np.arctan2(*(at - ahead)[::-1])
        stop = record.get("stop_point")
        if isinstance(stop, (list, tuple, np.ndarray)) and np.size(stop) > 1:
            at = points([stop], f"{where}: dynamic_map_states '{name}': stop_point")[0]
        heads = np.array([[*at, LAMP_HEIGHT, facing]])
        found.append((lane, Signal(np.array(phases, np.float64), 0.0, heads)))
    return tuple(found), () if found else ("traffic lights: none recorded, TLC is not evaluated",)


def _shown(record: Mapping[str, Any]) -> I8 | None:
    """(T,) Light at each step, or None where the record has another form."""
    state = record.get("state")
    said = state.get("object_state") if isinstance(state, dict) else None
    said = said.tolist() if isinstance(said, np.ndarray) else said
    if not isinstance(said, (list, tuple)) or not said:
        return None
    return np.array(
        [next((light for word, light in SHOWN if word in str(item)), Light.OFF) for item in said],
        np.int8,
    )
