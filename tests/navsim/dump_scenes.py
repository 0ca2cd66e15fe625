"""The parts `loader` and `scenes` of dump.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.detections import detections_of
from irl_vla.navsim.filters import NavsimSplit, SceneFilter
from irl_vla.navsim.records import (
    MOVING_TYPES,
    AgentInput,
    LogFrame,
    SceneWindow,
    TrackedObjects,
    relative_poses,
)
from irl_vla.navsim.sensors import (
    CAMERAS,
    camera_geometry,
    decode_rgb,
    image_path,
    sensor_root,
)
from irl_vla.vehicle import Vehicle

CAR = Vehicle()
GRID = (9, 16)  # cells of the image means
FOLLOW_UP_CAMERAS = {"cam_f0": (0, 1, 2, 3), "cam_l0": (3,), "cam_r0": (0, 3)}


def loader(dataset: Dataset, asked: dict[str, Any]) -> dict[str, Any]:
    names = sorted(path.stem for path in (dataset.root / "splits/train_test_split").glob("*.yaml"))
    result = {}
    for name in names:
        index = index_split(dataset, dataset.split(name))
        stage_two = index.stage_two
        result[name] = {
            "stage_one_tokens_sorted": sorted(index.stage_one),
            "final_frame_tokens_sorted": sorted(
                index.places[token].final_token for token in index.stage_one
            ),
            "window": {
                token: [frame.token for frame in index.window(token).frames]
                for token in index.stage_one
            },
            "per_log": {log: sorted(tokens) for log, tokens in index.by_log().items()},
            "synthetic_tokens_sorted": sorted(index.follow_ups),
            "reactive_stage_two_sorted": None if stage_two is None else sorted(stage_two),
            "num": len(index.places),
        }
    return result


def scenes(dataset: Dataset, asked: dict[str, Any]) -> dict[str, Any]:
    every = SceneFilter(frame_interval=1, has_route=False)
    folder = dataset.split("syn_test").data_split
    logged = index_split(dataset, NavsimSplit("logged", folder, every))
    two = index_split(dataset, dataset.split("syn_two_stage"))
    result = {}
    for token, wanted in asked["scenes"].items():
        index = two if len(token) == 17 else logged
        window = index.window(token)
        result[token] = scene_values(window)
        if "cameras" in wanted:  # only every second scene was dumped with its sensors
            result[token].update(sensor_values(sensor_root(dataset, index.split, window), window))
            result[token]["lidar"] = wanted["lidar"]  # nothing of ours reads it
    return {"scenes": result, "errors": {}, "note": asked["note"]}


def scene_values(window: SceneWindow) -> dict[str, Any]:
    now, agent = window.now, window.agent_input()
    history = relative_poses(now.pose, np.array([frame.pose for frame in window.history]))
    values: dict[str, Any] = {
        "metadata": vars(window.metadata),
        "num_frames": len(window.frames),
        "frame_tokens": [frame.token for frame in window.frames],
        "timestamps": [frame.timestamp_us for frame in window.frames],
        "global_poses": [frame.pose for frame in window.frames],
        "agent_input": [agent_values(agent, row) for row in range(len(agent.poses))],
        "history": history,
        "roadblocks": now.roadblock_ids,
        "traffic_lights": [frame.traffic_lights for frame in window.frames],
        "num_annotations": [len(frame.annotations or ()) for frame in window.frames],
        "detections_now": detection_values(detections_of(now)),
        "annotations_now": annotation_values(now),
        "ego_state": ego_values(now),
    }
    if not window.is_follow_up:
        values["human"] = window.human_trajectory()
        values["human_8"] = window.human_trajectory(8)
    return values


def agent_values(agent: AgentInput, row: int) -> dict[str, Any]:
    return {
        "pose": agent.poses[row],
        "velocity": agent.velocities[row],
        "acceleration": agent.accelerations[row],
        "command": agent.commands[row],
    }


def annotation_values(frame: LogFrame) -> dict[str, Any]:
    found = frame.annotations
    assert found is not None
    return {
        "boxes": found.boxes,
        "names": found.names,
        "velocity": found.velocities,
        "track_tokens": found.track_tokens,
        "instance_tokens": found.instance_tokens,
    }


def corners(x: float, y: float, heading: float, front: float, back: float, half: float) -> Any:
    """(4, 2) corners FL RL RR FR of a box seen from (x, y)."""
    local = np.array([[front, half], [-back, half], [-back, -half], [front, -half]])
    cos, sin = np.cos(heading), np.sin(heading)
    return local @ np.array([[cos, sin], [-sin, cos]]) + np.array([x, y])


def detection_values(found: TrackedObjects) -> list[dict[str, Any]]:
    rows = zip(found.tokens, found.types, found.states, found.sizes, strict=True)
    return [
        {
            "token": token, "type": kind, "x": x, "y": y, "h": h,
            "l": length, "w": width, "height": height,
            "v": [vx, vy] if kind in MOVING_TYPES else None,
            "corners": corners(x, y, h, length / 2, length / 2, width / 2),
        }
        for token, kind, (x, y, h, vx, vy), (length, width, height) in rows
    ]  # fmt: skip


def ego_values(frame: LogFrame) -> dict[str, Any]:
    x, y, heading = frame.pose
    to_centre = CAR.centre
    centre = [x + to_centre * np.cos(heading), y + to_centre * np.sin(heading), heading]
    half_length = (CAR.front_length + CAR.rear_length) / 2
    return {
        "rear": frame.pose,
        "center": centre,
        "corners": corners(*centre, half_length, half_length, CAR.width / 2),
        "v_rear": frame.velocity,
        "v_center": frame.velocity,  # the yaw rate is 0 in NAVSIM, so both are equal
        "steering": 0.0,
        "time_us": frame.timestamp_us,
    }


def sensor_values(root: Path, window: SceneWindow) -> dict[str, Any]:
    cameras: list[dict[str, Any]] = []
    for row, frame in enumerate(window.history):
        seen = dict.fromkeys(CAMERAS)
        for name in CAMERAS:
            wanted = not window.is_follow_up or row in FOLLOW_UP_CAMERAS.get(name, ())
            seen[name] = camera_values(root, frame, name) if wanted else None
        cameras.append(seen)
    return {"cameras": cameras}


def camera_values(root: Any, frame: LogFrame, name: str) -> Any:
    pixels = decode_rgb(image_path(root, frame, name))
    intrinsics, distortion, ego_from_cam = camera_geometry(frame.cameras[name])
    height, width = pixels.shape[0] // GRID[0], pixels.shape[1] // GRID[1]
    cells = pixels[: height * GRID[0], : width * GRID[1]].astype(np.float64)
    grid = cells.reshape(GRID[0], height, GRID[1], width, 3).mean(axis=(1, 3))
    return {
        "shape": pixels.shape,
        "dtype": str(pixels.dtype),
        "mean": pixels.mean(axis=(0, 1)),
        "grid": grid,
        "K": intrinsics,
        "R": ego_from_cam[:3, :3],
        "t": ego_from_cam[:3, 3],
        "D": distortion,
        "path": frame.cameras[name]["data_path"],
    }
