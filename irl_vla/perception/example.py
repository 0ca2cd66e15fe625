"""Fresh random inputs for the two graphs, for equality checks, golden outputs and benchmarks.

They look like a drive: some camera slots empty, most points hidden, memory now and then invalid.
What is masked holds NaN, so that any leak shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.frames import rigid_from_pose
from irl_vla.perception.preset import Preset
from irl_vla.perception.tokens import BevMemory, encode_ego, memory_inputs, to_slots
from irl_vla.types import EgoStatus, Intent, IntentDirection

VISIBLE_SHARE = 0.2  # of all points in one camera: a ring of six sees each point about once


def example_camera(
    preset: Preset, rng: np.random.Generator, images: int
) -> dict[str, NDArray[Any]]:
    """Inputs of the `camera` graph for so many images, normalised noise."""
    size = (images, 3, preset.image.height, preset.image.width)
    return {"images": rng.standard_normal(size, dtype=np.float32)}


def example_bev(
    preset: Preset, rng: np.random.Generator, cameras: int = 6
) -> dict[str, NDArray[Any]]:
    """Inputs of the `bev` graph for a rig of so many cameras, one of which may be missing."""
    present = np.zeros(MAX_CAMERAS, np.bool_)
    present[:cameras] = True
    if cameras > 1 and rng.random() < 0.5:
        present[rng.integers(cameras)] = False
    seeing = int(present.sum())
    features = rng.standard_normal(
        (seeing, preset.feature_channels, *preset.feature_size), dtype=np.float32
    )
    points = preset.points
    grid = rng.uniform(-1.0, 1.0, (MAX_CAMERAS, points, 2)).astype(np.float32)
    visible = rng.random((MAX_CAMERAS, points)) < VISIBLE_SHARE
    grid[~visible] = np.nan
    slots = to_slots(features, present)
    slots[~present] = np.nan
    return {
        "features": slots,
        "sampling_grid": grid,
        "visible": visible,
        "present": present,
        **_memory(preset, rng),
        "ego_vector": _ego_vector(rng),
    }


def _memory(preset: Preset, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    shape = (preset.d_model, *preset.pooled)
    step = rigid_from_pose(rng.normal(0.0, (3.0, 0.5, 0.1)))
    memory = BevMemory(rng.standard_normal(shape).astype(np.float16), step, rng.uniform(0.2, 0.8))
    tensors = memory_inputs(preset, memory)
    if rng.random() < 0.3:
        tensors["memory_bev"] = np.full(shape, np.nan, np.float16)
        tensors["memory_valid"] = np.zeros(1, np.bool_)
    return tensors


def _ego_vector(rng: np.random.Generator) -> NDArray[np.float32]:
    along = np.cumsum(rng.uniform(1.0, 3.0, int(rng.integers(0, 21))))
    route = np.stack([along, rng.normal(0.0, 0.02) * along**2], axis=-1)
    ego = EgoStatus(
        0, rng.normal((8.0, 0.0), (4.0, 0.2)), rng.normal(0.0, 1.0, 2), float(rng.normal(0.0, 0.2)),
        valid=bool(rng.random() < 0.8), source="example",
    )  # fmt: skip
    return encode_ego(ego, Intent(list(IntentDirection)[rng.integers(4)], route))
