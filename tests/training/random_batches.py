"""Batches of random content in the shapes that training reads, for tests without any samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from irl_vla.camera.preprocess import fitted_cameras
from irl_vla.camera.projection import sampling_grid
from irl_vla.camera.rig import MAX_CAMERAS, load_rig
from irl_vla.perception.preset import (
    AGENT_CLASSES,
    MAP_CLASSES,
    POLYLINE_POINTS,
    SEG_CLASSES,
    Preset,
)
from irl_vla.perception.tokens import EGO_VECTOR_SIZE
from irl_vla.resources import resource
from irl_vla.types import HORIZON_POSES
from irl_vla.world.render.quads import CLASSES as KINDS
from irl_vla_training.samples.batch import PIXEL_STRIDE, Batch, MemoryBatch, PixelBatch, ViewBatch
from irl_vla_training.samples.sample import LAMPS

ROAD_USERS, LINES, CAMERAS = 5, 6, 3


def views(preset: Preset, count: int, rng: np.random.Generator) -> ViewBatch:
    image = preset.image
    cameras = fitted_cameras(load_rig(resource("calibration/rigs/tiny3.yaml")), image)
    grid = sampling_grid(cameras, preset.bev, pad_to=MAX_CAMERAS)
    images = rng.integers(0, 255, (count, CAMERAS, 3, image.height, image.width))
    present = torch.zeros(count, MAX_CAMERAS, dtype=torch.bool)
    present[:, :CAMERAS] = True
    return ViewBatch(
        torch.from_numpy(images.astype(np.uint8)), present,
        torch.from_numpy(grid.grid.copy()).expand(count, -1, -1, -1),
        torch.from_numpy(grid.visible.copy()).expand(count, -1, -1),
        torch.zeros(count, 3, 0, 0, dtype=torch.uint8), torch.zeros(count, dtype=torch.bool),
        torch.zeros(count, preset.points, 2), torch.zeros(count, preset.points, dtype=torch.bool),
    )  # fmt: skip


def random_batch(preset: Preset, count: int, seed: int) -> Batch:
    """Everything is known of every sample."""
    rng = np.random.default_rng(seed)
    height, width = (side // PIXEL_STRIDE for side in (preset.image.height, preset.image.width))
    cells, pixels = (count, *preset.bev.cells), (count, CAMERAS, height, width)
    boxes = rng.uniform((0, -10, 0, 3, 1, 1, -3, -9, -2), (40, 10, 2, 6, 3, 2, 3, 9, 2),
                        (count, ROAD_USERS, 9))  # fmt: skip
    lines = rng.uniform((0, -10), (40, 10), (count, LINES, POLYLINE_POINTS, 2))
    future = np.cumsum(rng.uniform((2, -0.1, -0.05), (5, 0.1, 0.05), (count, HORIZON_POSES, 3)), 1)
    yes, two, whole = torch.ones, (count, ROAD_USERS), (count,)
    blind = PixelBatch(*(torch.zeros(count, 0, 0) for _ in range(3)))

    def numbers(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32))

    def classes(names: tuple[str, ...], shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(rng.integers(0, len(names), shape))

    truth = PixelBatch(
        classes(KINDS, pixels).byte(), classes(LAMPS, pixels).byte(),
        numbers(rng.uniform(0, 4, pixels)),
    )  # fmt: skip
    ego = numbers(rng.normal(0, 1, (count, EGO_VECTOR_SIZE)))
    memory = MemoryBatch(
        views(preset, count, rng), torch.eye(3).expand(count, 3, 3), yes(count, 1) * 0.5,
        yes(count, 1, dtype=torch.bool),
    )  # fmt: skip
    known = yes(cells, dtype=torch.bool)
    return Batch(
        tuple(f"{seed}-{k}" for k in range(count)), ("tiny3",) * count, ("clear",) * count,
        views(preset, count, rng), memory, ego, classes(SEG_CLASSES, cells), known,
        yes(count, len(SEG_CLASSES), dtype=torch.bool), known,
        (numbers(rng.random(cells)) > 0.8).float(),
        yes(whole, dtype=torch.bool), numbers(boxes), classes(AGENT_CLASSES, two),
        yes(two, dtype=torch.bool), torch.zeros(two, dtype=torch.bool), yes(two, dtype=torch.bool),
        yes(whole, dtype=torch.bool), numbers(lines), classes(MAP_CLASSES, (count, LINES)),
        yes((count, LINES), dtype=torch.bool), yes((count, len(MAP_CLASSES)), dtype=torch.bool),
        truth, blind, numbers(future), yes(whole, dtype=torch.bool),
        torch.zeros((count, 2), dtype=torch.long), classes(LAMPS, whole), yes(whole) * 20.0,
        torch.zeros((count, 3), dtype=torch.long),
    )  # fmt: skip


def endless(preset: Preset, count: int) -> object:
    """What `perceive` reads from: batch k of process p is the same whenever it is asked for."""

    def read(first: int, process: int, processes: int) -> Iterator[Batch]:
        k = first
        while True:
            yield random_batch(preset, count, k * processes + process)
            k += 1

    return read
