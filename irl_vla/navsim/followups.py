"""Follow-up scenes of navhard: synthesised views some metres beside the logged ones.

One pickle per scene: four frames of history, and for 4 s after them the tracks and traffic lights
as nuPlan objects, which are read as `Stub`s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import parse_json, read_whole
from irl_vla.navsim.log_table import replace_file, source_of
from irl_vla.navsim.logs import annotations_from
from irl_vla.navsim.records import (
    MOVING_TYPES,
    OBJECT_TYPES,
    FollowUpFuture,
    LogFrame,
    Metadata,
    SceneWindow,
    TrackedObjects,
)
from irl_vla.paths import inside
from irl_vla.types import InputError
from irl_vla.unpickle import Stub, load_pickle

RED = 2  # value of nuPlan's TrafficLightStatusType.RED; green, yellow and unknown are not red
FUTURE_STEPS = 8  # 4 s at 2 Hz
VERSION = 1  # of the metadata that are kept as JSON


def load_metadata(path: Path, cache: Path | None = None) -> Metadata:
    """Only who the follow-up is. A pickle has no index, so the whole file must be read; what was
    learnt is kept as JSON in `cache` (the devkit reads every file again in every process)."""
    if cache is None:
        return _metadata(_read(path), path)
    kept = cache / "follow_ups" / f"v{VERSION}" / path.parents[1].name / f"{path.stem}.json"
    source = source_of(path)
    try:
        entry = parse_json(read_whole(kept), f"{kept}")
        if entry["source"] == source:
            return Metadata(**entry["metadata"])
    except (InputError, KeyError, TypeError):
        pass  # absent, or no file of ours: it is made anew
    metadata = _metadata(_read(path), path)
    replace_file(kept, json.dumps({"source": source, "metadata": vars(metadata)}).encode())
    return metadata


def load_follow_up(path: Path) -> SceneWindow:
    """A follow-up pickle -> Window without future frames, with `future`.

    Raises InputError for damaged files and for a follow-up without its 4 s of future.
    """
    raw = _read(path)
    metadata = _metadata(raw, path)
    try:
        frames = tuple(
            _frame(frame, f"{path}: frame {index}") for index, frame in enumerate(raw["frames"])
        )
        tracks, lights = raw["extended_detections_tracks"], raw["extended_traffic_light_data"]
        if len(frames) < metadata.num_history_frames:
            raise ValueError(f"{len(frames)} frames, {metadata.num_history_frames} announced")
        if min(len(tracks or ()), len(lights or ())) < FUTURE_STEPS:
            raise ValueError(
                f"it has no future: {len(tracks or ())} steps of tracks and {len(lights or ())} "
                f"of traffic lights, {FUTURE_STEPS} needed for 4 s"
            )
        future = FollowUpFuture(tuple(map(_detections, tracks)), tuple(map(_lights, lights)))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: this follow-up cannot be used: {error}. Download it again."
        ) from None
    return SceneWindow(metadata, frames, future)


def _read(path: Path) -> Mapping[str, Any]:
    raw = load_pickle(path, "follow-up scene", stubs=True)
    if not isinstance(raw, dict) or "scene_metadata" not in raw or "frames" not in raw:
        raise InputError(f"{path}: expected a follow-up scene (scene_metadata, frames, ...)")
    return raw


def _metadata(raw: Mapping[str, Any], path: Path) -> Metadata:
    stored = raw["scene_metadata"]
    fields = stored.fields if isinstance(stored, Stub) else stored
    try:
        metadata = Metadata(**{name: fields[name] for name in Metadata.__annotations__})
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: the follow-up's metadata lacks {error}") from None
    for field in ("log_name", "map_name"):
        inside(path.parent, getattr(metadata, field), f"{path}: scene_metadata.{field}")
    if metadata.initial_token != path.stem:
        # The devkit passes file names on as tokens, so a renamed file would be another scene.
        raise InputError(
            f"{path}: the file is named {path.stem}, the scene in it {metadata.initial_token}. "
            "Give the file its own name again."
        )
    return metadata


def _frame(raw: Mapping[str, Any], where: str) -> LogFrame:
    ego, found = raw["ego_status"], raw["annotations"]
    return LogFrame(
        token=raw["token"],
        timestamp_us=int(raw["timestamp"]),
        pose=np.asarray(ego["ego_pose"], np.float64),
        velocity=np.asarray(ego["ego_velocity"], np.float32),
        acceleration=np.asarray(ego["ego_acceleration"], np.float32),
        command=np.asarray(ego["driving_command"]),
        roadblock_ids=tuple(raw["roadblock_ids"]),
        traffic_lights=tuple((int(lane), bool(red)) for lane, red in raw["traffic_lights"]),
        annotations=None if found is None else annotations_from(
            found["boxes"], found["names"], found["velocity_3d"],
            found["track_tokens"], found["instance_tokens"],
        ),
        cameras={name.lower(): camera for name, camera in (raw["camera_dict"] or {}).items()},
        where=where,
    )  # fmt: skip


def _detections(tracks: Stub) -> TrackedObjects:
    """A pickled DetectionsTracks -> TrackedObjects, in the order in which it holds its objects."""
    objects = tracks["tracked_objects"]["tracked_objects"]
    states, sizes, tokens, types = np.zeros((len(objects), 5)), [], [], []
    for row, thing in enumerate(objects):
        kind = OBJECT_TYPES[int(_kind(thing))]
        box = thing["_box"]
        centre = box["_center"]
        states[row, :3] = centre["x"], centre["y"], centre["heading"]
        if kind in MOVING_TYPES:
            states[row, 3:] = thing["_velocity"]["_x"], thing["_velocity"]["_y"]
        sizes.append((box["_length"], box["_width"], box["_height"]))
        tokens.append(str(thing["_metadata"]["track_token"]))
        types.append(kind)
    return TrackedObjects(
        tuple(tokens), tuple(types), states, np.asarray(sizes, np.float64).reshape(-1, 3)
    )


def _kind(thing: Stub) -> int:
    """The enum's value: agents keep it in one field, static objects in the other."""
    for field in ("_tracked_object_type", "tracked_object_type"):
        if field in thing.fields:
            return int(thing[field].args[0])
    raise KeyError(f"the type of a {thing.name}")


def _lights(statuses: Stub) -> tuple[tuple[int, bool], ...]:
    return tuple(
        (int(light["lane_connector_id"]), light["status"].args[0] == RED)
        for light in statuses["traffic_lights"]
    )
