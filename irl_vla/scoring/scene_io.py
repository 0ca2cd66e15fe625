"""Scoring scenes from and to files: `epdms-scene/1`, JSON, plain or gzipped.

    for scene in read_scenes(path): ...            all or an InputError
    for outcome in try_scenes(path): ...           Scene or InputError, one per scene: others go on
    write_scenes(path, scenes)
Reading what was written gives the same numbers bit for bit. Errors name file, scene and field.
May import: types, unpack, vehicle, scoring.scene, scoring.scene_check.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import brief, parse_json, read_whole
from irl_vla.scoring.scene import (
    AGENT_TYPES,
    AREA_KINDS,
    FORMAT,
    LANE_CONNECTOR,
    PLAN_POSES,
    SCENE_TYPES,
    SIM_DT_S,
    STATE_COLUMNS,
    TRACK_STEPS,
    TRAFFIC_POLICIES,
    Areas,
    Ego,
    NamedPlan,
    Polygons,
    Previous,
    RedLights,
    Reference,
    Route,
    Scene,
    Tracks,
)
from irl_vla.scoring.scene_check import Field, check_scene
from irl_vla.types import F64, InputError
from irl_vla.unpack import gunzipped
from irl_vla.vehicle import Vehicle

OUTLINE = ("width", "front_length", "rear_length", "wheel_base")  # of Vehicle, in its order


def read_scenes(path: Path) -> list[Scene]:
    """All scenes of a file. Raises InputError at the first one that cannot be used."""
    scenes = []
    for outcome in try_scenes(path):
        if isinstance(outcome, InputError):
            raise outcome
        scenes.append(outcome)
    return scenes


def try_scenes(path: Path) -> Iterator[Scene | InputError]:
    """Each scene of a file, or the reason why that one cannot be used. Raises InputError when the
    file as a whole cannot be read."""
    data = _load(path)
    _check_format(data, f"{path}")
    listed = data.get("scenes", [data] if "ego" in data else None)
    if not isinstance(listed, list):
        raise InputError(f"{path}: expected a list under 'scenes', got {brief(listed)}")
    for index, raw in enumerate(listed):
        try:
            yield scene_of(raw, f"{path}: scene {index}")
        except InputError as error:
            yield error


def write_scenes(path: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes; gzipped when the name ends in .gz (without a time stamp: same scenes, same
    bytes)."""
    text = json.dumps({"format": FORMAT, "scenes": [scene_to(scene) for scene in scenes]})
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _check_format(data: dict[str, Any], where: str) -> None:
    found = data.get("format")
    if found != FORMAT:
        raise InputError(
            f"{where}: format: expected '{FORMAT}', got {brief(found)}; convert the file or update "
            "irl-vla"
        )


def _load(path: Path) -> dict[str, Any]:
    data = parse_json(gunzipped(read_whole(path), f"{path}"), f"{path}")
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected an object with 'format' and 'scenes'")
    return data


def scene_of(raw: Any, where: str) -> Scene:
    """One scene of a file's JSON. where: file and index, for errors; the scene's id is added."""
    top = Field(raw, where)
    scene_id = top["id"].text()
    top = Field(raw, f"{where} '{scene_id}'")
    if not top.absent("format"):
        _check_format(raw, top.where)
    time = top["time"]
    if abs(time["step_s"].number() - SIM_DT_S) > 1e-9:
        raise time["step_s"].wrong(f"{SIM_DT_S} s between steps")
    steps = time["steps"].integer()
    if steps not in TRACK_STEPS:
        raise time["steps"].wrong(f"{TRACK_STEPS[0]} steps (or {TRACK_STEPS[1]} for PDMS v1)")
    scene = Scene(
        id=scene_id,
        t0_us=time["t0_us"].integer(),
        steps=steps,
        scene_type=top["scene_type"].one_of(SCENE_TYPES),
        traffic_policy=top["traffic_policy"].one_of(TRAFFIC_POLICIES),
        ego=_ego_of(top["ego"]),
        areas=_areas_of(top["map"]["polygons"]),
        route=Route(
            tuple(item.text() for item in top["route"]["lane_ids"]),
            top["route"]["centerline"].array(None, 3),
        ),
        red_lights=None if top.absent("red_lights") else _lights_of(top["red_lights"], steps),
        agents=_tracks_of(top["agents"], steps),
        human=None if top.absent("human") else _plan_of(top["human"], ""),
        candidates=tuple(_plan_of(c, c["id"].text()) for c in top["candidates"]),
        reference=None if top.absent("reference") else Reference(
            top["reference"].label("kind"), top["reference"]["poses"].array(None, 3)
        ),
        previous=None if top.absent("previous") else _previous_of(top["previous"]),
        family=top.label("family"),
        seed=() if top.absent("seed") else tuple(s.integer() for s in top["seed"]),
        derived=() if top.absent("derived") else tuple(d.text() for d in top["derived"]),
    )  # fmt: skip
    check_scene(scene, top)
    return scene


def _state_of(raw: Field) -> F64:
    """A state (11,); steering and angular columns default to 0."""
    return np.array(
        [0.0 if i >= 7 and raw.absent(name) else raw[name].number()
         for i, name in enumerate(STATE_COLUMNS)]
    )  # fmt: skip


def _ego_of(raw: Field) -> Ego:
    return Ego(
        initial=_state_of(raw["initial"]),
        history=np.stack([_state_of(past) for past in raw["history"]]),
        history_us=np.array([past["t_us"].integer() for past in raw["history"]], np.int64),
        vehicle=_vehicle_of(raw["vehicle"]),
    )


def _vehicle_of(raw: Field) -> Vehicle:
    width, front, rear, base = (raw[name].number() for name in OUTLINE)
    try:
        return Vehicle(width, front, rear, base)
    except ValueError as error:
        raise InputError(f"{raw.where}: {error}") from None


def _areas_of(raw: Field) -> Areas:
    areas = list(raw)
    kinds = np.array([AREA_KINDS.index(a["type"].one_of(AREA_KINDS)) for a in areas], np.int8)
    lanes = [kind <= LANE_CONNECTOR for kind in kinds]
    pairs = list(zip(areas, lanes, strict=True))
    return Areas(
        ids=tuple(a["id"].text() for a in areas),
        kinds=kinds,
        polygons=Polygons.of([a["polygon"].array(None, 2) for a in areas]),
        on_route=np.array([lane and a["on_route"].flag() for a, lane in pairs], np.bool_),
        direction=np.array(
            [0 if a.absent("direction") else a["direction"].integer() for a in areas], np.int8
        ),
        speed_limit=np.array(
            [np.nan if a.absent("speed_limit_mps") else a["speed_limit_mps"].number()
             for a in areas]
        ),
        centerlines=tuple(
            a["centerline"].array(None, 3) if lane else np.zeros((0, 3)) for a, lane in pairs
        ),
    )  # fmt: skip


def _lights_of(raw: Field, steps: int) -> RedLights:
    lights = list(raw)
    red = np.zeros((len(lights), steps), np.bool_)
    for i, light in enumerate(lights):
        for span in light["red_steps"]:
            first, last = (item.integer() for item in span)
            if not 0 <= first <= last < steps:
                raise span.wrong(f"[first, last] with 0 <= first <= last < {steps}")
            red[i, first : last + 1] = True
    return RedLights(
        tuple(light["id"].text() for light in lights),
        Polygons.of([light["polygon"].array(None, 2) for light in lights]),
        red,
    )


def _tracks_of(raw: Field, steps: int) -> Tracks:
    agents = list(raw)
    states = np.full((len(agents), steps, 5), np.nan)
    for i, agent in enumerate(agents):
        track = agent["track"]
        start = track["start"].integer()
        listed = track["states"]
        if any(item.value is None for item in listed):
            raise listed.wrong("one state for every step of the track: it has a gap; bridge it")
        run = listed.array(None, 5)
        if start < 0 or start + len(run) > steps:
            raise track["start"].wrong(f"{len(run)} states within steps 0..{steps - 1}")
        states[i, start : start + len(run)] = run
    return Tracks(
        ids=tuple(agent["id"].text() for agent in agents),
        types=np.array([AGENT_TYPES.index(a["type"].one_of(AGENT_TYPES)) for a in agents], np.int8),
        sizes=np.array([[a["length"].number(), a["width"].number()] for a in agents]).reshape(
            len(agents), 2
        ),
        states=states,
        present=~np.isnan(states[..., 0]),
    )


def _plan_of(raw: Field, name: str) -> NamedPlan:
    return NamedPlan(name, raw.label("kind"), raw["trajectory"].array(PLAN_POSES, 3))


def _previous_of(raw: Field) -> Previous:
    return Previous(
        raw["dt_us"].integer(),
        _state_of(raw["initial"]),
        np.array([plan.array(PLAN_POSES, 3) for plan in raw["trajectories"]]).reshape(
            -1, PLAN_POSES, 3
        ),
    )


def scene_to(scene: Scene) -> dict[str, Any]:
    """One scene as JSON values."""
    data: dict[str, Any] = {
        "format": FORMAT, "id": scene.id, "family": scene.family, "seed": list(scene.seed),
        "time": {"t0_us": scene.t0_us, "step_s": SIM_DT_S, "steps": scene.steps},
        "scene_type": scene.scene_type, "traffic_policy": scene.traffic_policy,
        "ego": _ego_to(scene.ego),
        "map": {"polygons": [_area_to(scene.areas, i) for i in range(len(scene.areas))]},
        "route": {
            "lane_ids": list(scene.route.lane_ids), "centerline": scene.route.centerline.tolist()
        },
        "red_lights": None if scene.red_lights is None else _lights_to(scene.red_lights),
        "agents": [_track_to(scene.agents, i) for i in range(len(scene.agents))],
        "human": None, "reference": None, "previous": None,
        "candidates": [{"id": c.id, "kind": c.kind, "trajectory": c.poses.tolist()}
                       for c in scene.candidates],
    }  # fmt: skip
    if scene.human is not None:
        data["human"] = {"kind": scene.human.kind, "trajectory": scene.human.poses.tolist()}
    if scene.reference is not None:
        data["reference"] = {
            "kind": scene.reference.kind, "poses": scene.reference.poses.tolist()
        }  # fmt: skip
    if scene.previous is not None:
        data["previous"] = {
            "dt_us": scene.previous.dt_us, "initial": _state_to(scene.previous.initial),
            "trajectories": scene.previous.trajectories.tolist(),
        }  # fmt: skip
    if scene.derived:
        data["derived"] = list(scene.derived)
    return data


def _state_to(state: F64) -> dict[str, float]:
    return dict(zip(STATE_COLUMNS, state.tolist(), strict=True))


def _ego_to(ego: Ego) -> dict[str, Any]:
    return {
        "vehicle": {name: getattr(ego.vehicle, name) for name in OUTLINE},
        "initial": _state_to(ego.initial),
        "history": [{"t_us": int(t), **_state_to(past)}
                    for t, past in zip(ego.history_us, ego.history, strict=True)],
    }  # fmt: skip


def _area_to(areas: Areas, i: int) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": areas.ids[i], "type": AREA_KINDS[areas.kinds[i]],
        "polygon": areas.polygons.ring(i).tolist(),
    }  # fmt: skip
    if areas.kinds[i] <= LANE_CONNECTOR:
        limit = float(areas.speed_limit[i])
        data |= {
            "centerline": areas.centerlines[i].tolist(), "direction": int(areas.direction[i]),
            "speed_limit_mps": None if np.isnan(limit) else limit,
            "on_route": bool(areas.on_route[i]),
        }  # fmt: skip
    return data


def _lights_to(lights: RedLights) -> list[dict[str, Any]]:
    listed = []
    for i, name in enumerate(lights.ids):
        edges = np.flatnonzero(np.diff(lights.red[i].astype(int), prepend=0, append=0))
        spans = [[int(a), int(b) - 1] for a, b in edges.reshape(-1, 2)]
        ring = lights.polygons.ring(i).tolist()
        listed.append({"id": name, "polygon": ring, "red_steps": spans})
    return listed


def _track_to(tracks: Tracks, i: int) -> dict[str, Any]:
    start = int(tracks.present[i].argmax())
    return {
        "id": tracks.ids[i], "type": AGENT_TYPES[tracks.types[i]],
        "length": float(tracks.sizes[i, 0]), "width": float(tracks.sizes[i, 1]),
        "track": {"start": start, "states": tracks.states[i][tracks.present[i]].tolist()},
    }  # fmt: skip
