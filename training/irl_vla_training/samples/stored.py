"""A sample as the files of a tar, and back.

    KEY.json          everything but arrays: cameras, ego, intents, answers, names
    KEY.arrays.zst    all arrays as safetensors, compressed with zstandard
    KEY.0.jpg ..      pictures in the order of the rig; KEY.tele.jpg; KEY.m0.jpg .. of the memory
May import: irl_vla, samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as read_arrays
from safetensors.numpy import save as write_arrays

from irl_vla.camera.camera import Camera
from irl_vla.foreign import cut, parse_json
from irl_vla.types import EgoStatus, InputError, Intent, IntentDirection
from irl_vla_training.samples.pixels import depth_as_bytes, depth_from_bytes
from irl_vla_training.samples.sample import (
    Answers,
    BoxTruth,
    GroundTruth,
    LineTruth,
    Memory,
    Picture,
    Pictures,
    PictureTruth,
    Sample,
    SceneReference,
    Way,
)

JSON, ARRAYS = "json", "arrays.zst"
LEVEL = 3  # of zstandard
MOST_BYTES = 1 << 28  # of one sample's arrays: more is a damaged header
Arrays = dict[str, NDArray[Any]]


def as_files(sample: Sample) -> dict[str, bytes]:
    """Ending of the name -> content."""
    arrays = _arrays(sample)
    files = {JSON: json.dumps(_about(sample)).encode()}
    packed = write_arrays({name: np.ascontiguousarray(value) for name, value in arrays.items()})
    files[ARRAYS] = zstandard.ZstdCompressor(LEVEL).compress(packed)
    memory = sample.memory
    for prefix, pictures in (("", sample.pictures), ("m", memory and memory.pictures)):
        if pictures:
            for k, picture in enumerate(pictures.wide):
                files[f"{prefix}{k}.jpg"] = picture.jpeg
            if pictures.tele is not None:
                files[f"{prefix}tele.jpg"] = pictures.tele.jpeg
    return files


def from_files(key: str, files: Mapping[str, bytes]) -> Sample:
    """Undoes as_files, depths to within half a step of their bytes. Raises InputError."""
    try:
        about = parse_json(files[JSON], f"sample {key}")
        plain = zstandard.ZstdDecompressor().decompress(files[ARRAYS], MOST_BYTES)
        return _sample(key, about, read_arrays(plain), files)
    except InputError:
        raise
    except (LookupError, ValueError, TypeError, OverflowError, MemoryError, AttributeError,
            zstandard.ZstdError, SafetensorError) as error:  # fmt: skip
        raise InputError(f"sample {key}: damaged: {type(error).__name__}: {cut(error)}") from None


def _about(sample: Sample) -> dict[str, Any]:
    """What is no array."""
    memory, scene, ways = sample.memory, sample.scene, _ways(sample)
    answers = sample.answers
    return {
        "source": sample.source, "cameras": [_camera(p.camera) for p in sample.pictures.wide],
        "tele": None if sample.pictures.tele is None else _camera(sample.pictures.tele.camera),
        "memory_tele": memory is not None and memory.pictures.tele is not None,
        "memory_age_s": None if memory is None else memory.age_s,
        "ego": {
            "stamp_ns": sample.ego.stamp_ns, "valid": sample.ego.valid,
            "source": sample.ego.source, "measured_ns": sample.ego.measured_ns,
        },
        "driven": sample.way is not None,
        "ways": [
            {"direction": way.intent.direction.value, "stamp_ns": way.intent.stamp_ns,
             "route": None if way.intent.route is None else way.intent.route.tolist(),
             "commands": None if way.commands is None else list(way.commands)}
            for way in ways
        ],
        "answers": {
            "lamp": answers.lamp, "pedestrian": answers.pedestrian, "lead": answers.lead,
            "reason": answers.reason,
            "lamp_m": None if np.isnan(answers.lamp_m) else answers.lamp_m,
        },
        "scene": None if scene is None else [scene.seed, scene.step],
        "recovery": sample.recovery, "foreseen": sample.foreseen, "weather": sample.weather,
        "rig": sample.rig,
    }  # fmt: skip


def _ways(sample: Sample) -> tuple[Way, ...]:
    return (*(() if sample.way is None else (sample.way,)), *sample.other_ways)


def _arrays(sample: Sample) -> Arrays:
    ego = sample.ego
    found: Arrays = {"ego": np.array([*ego.velocity, *ego.acceleration, ego.yaw_rate])}
    ways = _ways(sample)
    if ways:
        found["futures"] = np.stack([way.future for way in ways])
    if sample.memory is not None:
        found["ego_now_from_memory"] = sample.memory.ego_now_from_memory
    if sample.ground is not None:
        found |= {f"ground.{name}": value for name, value in vars(sample.ground).items()
                  if value is not None}  # fmt: skip
    if sample.boxes is not None:
        found |= {f"boxes.{name}": value for name, value in vars(sample.boxes).items()}
        found["boxes.boxes"] = sample.boxes.boxes.astype(np.float32)
    if sample.lines is not None:
        found |= {f"lines.{name}": value for name, value in vars(sample.lines).items()}
        found["lines.points"] = sample.lines.points.astype(np.float32)
    for k, truth in enumerate(sample.pixels):
        if truth is not None:
            found[f"kind.{k}"], found[f"lamp.{k}"] = truth.kind, truth.lamp
            found[f"depth.{k}"] = depth_as_bytes(truth.depth)
    return found


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "name": camera.name, "size": [camera.width, camera.height], "model": str(camera.model),
        "intrinsics": camera.intrinsics.tolist(), "distortion": camera.distortion.tolist(),
        "ego_from_cam": camera.ego_from_cam.tolist(), "offset_ns": camera.offset_ns,
    }  # fmt: skip


def _sample(key: str, about: Any, arrays: Arrays, files: Mapping[str, bytes]) -> Sample:
    cameras = [_as_camera(entry) for entry in about["cameras"]]
    tele = None if about["tele"] is None else _as_camera(about["tele"])
    pictures = _pictures(cameras, tele, files, "")
    ways = [_way(entry, future) for entry, future in
            zip(about["ways"], arrays.get("futures", ()), strict=True)]  # fmt: skip
    memory, age = None, about["memory_age_s"]
    if age is not None:
        then = _pictures(cameras, tele if about["memory_tele"] else None, files, "m")
        memory = Memory(then, arrays["ego_now_from_memory"], float(age))
    numbers, ego = arrays["ego"], about["ego"]
    answers = dict(about["answers"])
    answers["lamp_m"] = float("nan") if answers["lamp_m"] is None else answers["lamp_m"]
    driven = int(about["driven"])
    scene = about["scene"]
    return Sample(
        key, about["source"], pictures, memory,
        EgoStatus(
            ego["stamp_ns"], numbers[:2], numbers[2:4], float(numbers[4]), ego["valid"],
            ego["source"], ego["measured_ns"],
        ),
        ways[0] if driven else None, tuple(ways[driven:]), _ground(arrays), _boxes(arrays),
        _lines(arrays), _pixels(arrays, len(pictures.all)), Answers(**answers),
        None if scene is None else SceneReference(*scene), about["recovery"], about["foreseen"],
        about["weather"], about["rig"],
    )  # fmt: skip


def _as_camera(entry: Any) -> Camera:
    width, height = entry["size"]
    return Camera(
        entry["name"], width, height, entry["model"], np.array(entry["intrinsics"], np.float64),
        np.array(entry["distortion"], np.float64), np.array(entry["ego_from_cam"], np.float64),
        entry["offset_ns"],
    )  # fmt: skip


def _pictures(
    cameras: list[Camera], tele: Camera | None, files: Mapping[str, bytes], prefix: str
) -> Pictures:
    wide = tuple(Picture(camera, files[f"{prefix}{k}.jpg"]) for k, camera in enumerate(cameras))
    return Pictures(wide, None if tele is None else Picture(tele, files[f"{prefix}tele.jpg"]))


def _way(entry: Any, future: NDArray[np.float64]) -> Way:
    route = None if entry["route"] is None else np.array(entry["route"], np.float64).reshape(-1, 2)
    intent = Intent(IntentDirection(entry["direction"]), route, entry["stamp_ns"])
    commands = entry["commands"]
    return Way(intent, future, None if commands is None else (commands[0], commands[1]))


def _ground(arrays: Arrays) -> GroundTruth | None:
    if "ground.seg" not in arrays:
        return None
    return GroundTruth(
        arrays["ground.seg"], arrays["ground.known"], arrays["ground.classes"],
        arrays.get("ground.closed"),
    )  # fmt: skip


def _boxes(arrays: Arrays) -> BoxTruth | None:
    if "boxes.boxes" not in arrays:
        return None
    boxes = arrays["boxes.boxes"].astype(np.float64)
    return BoxTruth(boxes, arrays["boxes.kind"], arrays["boxes.pixels"])


def _lines(arrays: Arrays) -> LineTruth | None:
    if "lines.points" not in arrays:
        return None
    points = arrays["lines.points"].astype(np.float64)
    return LineTruth(points, arrays["lines.kind"], arrays["lines.classes"])


def _pixels(arrays: Arrays, count: int) -> tuple[PictureTruth | None, ...]:
    return tuple(
        PictureTruth(
            arrays[f"kind.{k}"], arrays[f"lamp.{k}"], depth_from_bytes(arrays[f"depth.{k}"])
        ) if f"kind.{k}" in arrays else None
        for k in range(count)
    )  # fmt: skip
