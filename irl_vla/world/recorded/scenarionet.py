"""ScenarioNet databases (nuScenes, nuPlan, Waymo, Argoverse 2 as exported) become worlds.

    episode = load_scenario(path)        real lanes, real tracks, the ego is the recorded driver
    scene = scoring_scene(path)          one instant of it, ready for EPDMS
The files are pickles; they are read by the allow-list reader and nothing in them is run. What the
export lacks is derived and named in `Town.derived`. Format: MetaDrive's ScenarioDescription.
May import: types, unpickle, scoring.scene, world.*.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import brief
from irl_vla.scoring.scene import SIM_DT_S, Scene
from irl_vla.types import F64, InputError
from irl_vla.unpickle import load_pickle
from irl_vla.vehicle import Vehicle
from irl_vla.world.benchmark.scenes import FIRST, Cutter
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.imported_town import town_of
from irl_vla.world.recorded.motion import (
    SMOOTHING,
    Track,
    actors_of,
    agent_type,
    ego_states,
    near_ego,
    route_under,
    stacked,
    unbroken,
)
from irl_vla.world.recorded.scenarionet_map import recorded_map
from irl_vla.world.signals import lights_at

REACH = 100.0  # [m] lanes and road users farther from the recorded path are left out
KINDS = {
    "VEHICLE": "vehicle", "PEDESTRIAN": "pedestrian", "CYCLIST": "bicycle",
    "TRAFFIC_CONE": "traffic_cone", "TRAFFIC_BARRIER": "barrier",
}  # fmt: skip
OTHER = "generic_object"
REAR_AXLE = ("nuscenes",)  # exports whose ego position is the rear axle; elsewhere the box's middle
KEYS = ("id", "length", "metadata", "tracks", "map_features")
MIN_SIZE = 0.1  # [m] smaller boxes are a matter of annotation
ROUTED = (
    "route: lanes under the recorded ego, then straight ahead; lane changes anywhere in a block"
)
SMOOTHED = "ego's velocity and acceleration: parabola through 1.1 s, without leaps"


def load_scenario(path: Path) -> Episode:
    """The whole recording: T moments at 10 Hz, driver "recorded", a Pacifica in the ego's place.

    Raises InputError for a file that is missing, damaged, hostile or of another kind, and for a
    scenario without ego, without lanes, too short, or whose ego leaves or is on no lane.
    """
    scenario = _checked(load_pickle(path, "scenario"), path)
    where, metadata = f"{path}: scenario '{scenario['id']}'", scenario["metadata"]
    steps, dataset = int(scenario["length"]), str(metadata.get("dataset", "")).lower()
    ego_name = _ego_name(scenario, where)
    vehicle = Vehicle()
    poses = _ego_poses(scenario["tracks"][ego_name], steps, vehicle, dataset, where)
    town = town_of(recorded_map(scenario, dataset, poses[:, :2], REACH, where))
    route = route_under(town, poses)
    if not route:
        raise InputError(f"{where}: the recorded driver is on none of the {len(town.lanes)} lanes")
    tracks = near_ego(
        unbroken(
            [
                _track(str(name), track, steps, where)
                for name, track in scenario["tracks"].items() if name != ego_name
            ]
        ),
        poses[:, :2], REACH,
    )  # fmt: skip
    states, present = stacked(tracks, steps)
    return Episode(
        replace(town, derived=(*town.derived, ROUTED, SMOOTHED)), 0, vehicle, actors_of(tracks),
        ego_states(poses, vehicle), np.zeros(steps, np.uint8), states, present,
        np.zeros(present.shape, np.uint8),
        np.stack([lights_at(town, step * SIM_DT_S) for step in range(steps)]),
        route, driver="recorded",
    )  # fmt: skip


def scoring_scene(path: Path, time_s: float | None = None) -> Scene:
    """The scene at `time_s` of a recording (None: the first that has a whole past), with PDM-Closed
    as its reference. Raises InputError as load_scenario does, and for a time without 2 s of past
    and 4 s of future."""
    episode = load_scenario(path)
    cutter = Cutter(episode)
    step = FIRST if time_s is None else round(time_s / SIM_DT_S)
    if not FIRST <= step <= cutter.last:
        raise InputError(
            f"{path}: scenario '{episode.town.name}': expected a time between "
            f"{FIRST * SIM_DT_S:.1f} and {cutter.last * SIM_DT_S:.1f} s (2 s of past, 4 s of "
            f"future; the recording has {len(episode) * SIM_DT_S:.1f} s), "
            f"got {step * SIM_DT_S:.1f} s"
        )
    return cutter.scene(step)


def _checked(value: Any, path: Path) -> dict[str, Any]:
    """A scenario in form; its parts are checked where they are read."""
    if not isinstance(value, dict) or not all(key in value for key in KEYS):
        has = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise InputError(
            f"{path}: expected a ScenarioNet scenario with {', '.join(KEYS)}, got {has:.200}. "
            "Is it a scenario and not the database's summary or mapping?"
        )
    for key in ("metadata", "tracks", "map_features"):
        if not isinstance(value[key], dict):
            raise InputError(f"{path}: {key}: expected an object, got {type(value[key]).__name__}")
    length = value["length"]
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)):
        raise InputError(f"{path}: length: expected a number of steps, got {brief(length)}")
    if length < SMOOTHING:
        raise InputError(
            f"{path}: scenario '{value['id']}' is too short: expected at least {SMOOTHING} steps "
            f"of 0.1 s, got {length}"
        )
    times = value["metadata"].get("ts")
    if isinstance(times, np.ndarray) and times.ndim == 1 and len(times) > 1:
        step = float(np.median(np.diff(times)))
        if not abs(step - SIM_DT_S) < SIM_DT_S / 10:
            raise InputError(
                f"{path}: expected steps of {SIM_DT_S} s, got {step:g} s; export at 10 Hz"
            )
    return value


def _ego_name(scenario: dict[str, Any], where: str) -> str | int:
    name = scenario["metadata"].get("sdc_id")
    if not isinstance(name, (str, int)) or name not in scenario["tracks"]:
        raise InputError(
            f"{where}: metadata: sdc_id: expected the name of the recorded driver's track, got "
            f"{brief(name)}; a scenario without ego cannot be driven"
        )
    return name


def _ego_poses(track: Any, steps: int, vehicle: Vehicle, dataset: str, where: str) -> F64:
    """(T, 3) of the rear axle; the recording must hold the ego from beginning to end."""
    spot = f"{where}: ego"
    state = _state(track, spot)
    valid = _column(state, "valid", steps, 0, spot)[:, 0] > 0
    if not valid.all():
        raise InputError(
            f"{spot}: valid: expected all {steps} steps, got {int(valid.sum())}; cut the scenario "
            "to where the ego is present"
        )
    place = _column(state, "position", steps, 2, spot)[:, :2]
    heading = _column(state, "heading", steps, 0, spot)[:, 0]
    if not (np.isfinite(place).all() and np.isfinite(heading).all()):
        raise InputError(f"{spot}: position, heading: expected finite numbers, got NaN or infinity")
    if dataset not in REAR_AXLE:
        place = place - vehicle.centre * np.column_stack([np.cos(heading), np.sin(heading)])
    return np.column_stack([place, heading])


def _track(name: str, track: Any, steps: int, where: str) -> Track:
    """One road user. Steps where it is not valid are NaN."""
    spot = f"{where}: tracks '{name}'"
    state = _state(track, spot)
    valid = _column(state, "valid", steps, 0, spot)[:, 0] > 0
    states = np.column_stack([
        _column(state, "position", steps, 2, spot)[:, :2],
        _column(state, "heading", steps, 0, spot)[:, 0],
        _column(state, "velocity", steps, 2, spot)[:, :2],
    ])  # fmt: skip
    valid &= np.isfinite(states).all(axis=1)
    sizes = [_column(state, key, steps, 0, spot)[:, 0] for key in ("length", "width", "height")]
    size = np.array([np.median(column[valid]) if valid.any() else MIN_SIZE for column in sizes])
    if not np.isfinite(size).all():
        raise InputError(f"{spot}: length, width, height: expected finite numbers, got {size}")
    about = track.get("metadata")
    label = str(about.get("type", "")) if isinstance(about, dict) else ""
    return Track(
        name, agent_type(KINDS.get(str(track.get("type")), OTHER)), np.maximum(size, MIN_SIZE),
        np.where(valid[:, None], states, np.nan), valid, label,
    )  # fmt: skip


def _state(track: Any, where: str) -> dict[str, Any]:
    state = track.get("state") if isinstance(track, dict) else None
    if not isinstance(state, dict):
        raise InputError(f"{where}: expected an object with a 'state', got {brief(track)}")
    return state


def _column(state: dict[str, Any], key: str, steps: int, columns: int, where: str) -> F64:
    """(T, n) numbers of one field, n >= columns; columns 0: one number a step, (T,) or (T, 1)."""
    try:
        found = np.asarray(state[key], np.float64)
    except KeyError:
        raise InputError(f"{where}: state: field '{key}' is missing") from None
    except (TypeError, ValueError):
        raise InputError(f"{where}: state: {key}: expected numbers, got something else") from None
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != steps or found.shape[1] < max(columns, 1):
        raise InputError(
            f"{where}: state: {key}: expected shape ({steps}, {max(columns, 1)}), got {found.shape}"
        )
    return found
