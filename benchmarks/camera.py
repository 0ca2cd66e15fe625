"""What the camera room costs per set of six images, and what it would cost done naively.

    python benchmarks/camera.py [--sets 40]

Pictures are drawn here (1600x900, JPEG of about 160 kB), so that every machine measures the same.
CPU time counts all threads of this process.
Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.camera.preprocess import ImageSpec, fitted_cameras, preprocess
from irl_vla.camera.projection import BevGrid, GridCache, sampling_grid
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.camera.sync import AnchorSynchroniser
from irl_vla.types import F32, CameraImage, FrameSet

RIG = Path(__file__).parents[1] / "calibration" / "rigs" / "nuscenes_like6.yaml"
SPEC = ImageSpec(704, 256)
BEV = BevGrid(cells=(128, 128))
NAIVE, PREPROCESS = "naive decode + resize", "preprocess"
LOOKUP = "synchroniser + grid lookup"
BUDGETS_MS = {PREPROCESS: 25.0, LOOKUP: 1.0}  # [CPU ms] per set of six 1600x900 JPEG -> 704x256
JPEG_QUALITY = 72  # gives the size that real street scenes have
SET_INTERVAL_NS = 100_000_000


@dataclass(frozen=True)
class DecodeCost:
    """Median of the runs, milliseconds."""

    cpu_ms: float
    wall_ms: float


def measure(work: Callable[[], object], repeats: int) -> DecodeCost:
    """Runs `work` twice to warm up, then `repeats` times."""
    costs = []
    for run in range(repeats + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        if run >= 2:
            costs.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_s, wall_s = np.median(np.array(costs), axis=0)
    return DecodeCost(1e3 * float(cpu_s), 1e3 * float(wall_s))


def drawn_frames(rig: Rig) -> FrameSet:
    """A street-like picture per camera: sky, ground, blocks, and texture at all scales."""
    images = {}
    for seed, camera in enumerate(rig.cameras):
        random = np.random.default_rng(seed)
        size = (camera.width, camera.height)
        picture = np.full((camera.height, camera.width, 3), (150, 170, 190), np.float32)
        picture[camera.height // 2 :] = (90, 90, 95)
        for _ in range(60):
            u, v = random.integers(0, size[0]), random.integers(size[1] // 3, size[1])
            w, h = random.integers(20, 200, 2)
            picture[v - h // 2 : v + h // 2, u : u + w] = random.integers(20, 235, 3)
        for step, strength in ((2, 4.0), (8, 10.0), (40, 20.0)):
            noise = random.normal(0, strength, (size[1] // step, size[0] // step, 3))
            picture += cv2.resize(noise.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        images[camera.name] = CameraImage(camera.name, 0, encoded=data.tobytes())
    return FrameSet(0, images)


def naive(frames: FrameSet, interpolation: int) -> F32:
    """Decode whole, resize, cut, normalise: what one writes first. INTER_LINEAR is quick and
    aliases, INTER_AREA is as free of aliasing as what we do."""
    mean, std = np.array(SPEC.mean, np.float32), np.array(SPEC.std, np.float32)
    pictures = []
    for image in frames.images.values():
        data = np.frombuffer(image.encoded or b"", np.uint8)
        whole = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
        height = round(whole.shape[0] * SPEC.width / whole.shape[1])
        small = cv2.resize(whole, (SPEC.width, height), interpolation=interpolation)
        rgb = cv2.cvtColor(small[-SPEC.height :], cv2.COLOR_BGR2RGB)
        pictures.append(((rgb.astype(np.float32) - mean) / std).transpose(2, 0, 1))
    return np.stack(pictures)


def synchronise_and_look_up(rig: Rig) -> Callable[[], None]:
    """One step: six images into a running synchroniser, and the grid of their cameras."""
    cache = GridCache(BEV, pad_to=8)
    sync = AnchorSynchroniser.of_rig(rig)
    now = [0]

    def step() -> None:
        now[0] += SET_INTERVAL_NS
        ready: tuple[FrameSet, ...] = ()
        for camera in rig.cameras:
            stamp = now[0] + camera.offset_ns
            ready += sync.push(CameraImage(camera.name, stamp, encoded=b""))
        assert len(ready) == 1 and not ready[0].missing
        cache.lookup(fitted_cameras(rig, SPEC))

    return step


def measure_all(rig: Rig, frames: FrameSet, sets: int) -> dict[str, DecodeCost]:
    """Every row of the table."""
    with ThreadPoolExecutor(min(6, os.cpu_count() or 1)) as pool:
        return {
            NAIVE: measure(lambda: naive(frames, cv2.INTER_LINEAR), sets),
            "naive, without aliasing": measure(lambda: naive(frames, cv2.INTER_AREA), sets),
            PREPROCESS: measure(lambda: preprocess(frames, rig, SPEC), sets),
            "preprocess, thread pool": measure(lambda: preprocess(frames, rig, SPEC, pool), sets),
            LOOKUP: measure(synchronise_and_look_up(rig), 10 * sets),
            "grid, once per calibration": measure(
                lambda: sampling_grid(fitted_cameras(rig, SPEC), BEV, pad_to=8), 5
            ),
        }


def main() -> None:
    """Measures, prints the table and the JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=40, help="sets of images per measurement")
    sets = parser.parse_args().sets
    cv2.setNumThreads(1)
    rig = load_rig(RIG)
    frames = drawn_frames(rig)
    kilobytes = (
        float(np.mean([len(image.encoded or b"") for image in frames.images.values()])) / 1e3
    )
    costs = measure_all(rig, frames, sets)
    base = costs[NAIVE].cpu_ms
    table = Table(title=f"six JPEG 1600x900 ({kilobytes:.0f} kB) -> {SPEC.width}x{SPEC.height}")
    for column in ("", "CPU ms", "wall ms", "CPU / naive"):
        table.add_column(column, justify="right" if column else "left")
    for name, cost in costs.items():
        ratio = f"{cost.cpu_ms / base:.3f}"
        table.add_row(name, f"{cost.cpu_ms:.3f}", f"{cost.wall_ms:.3f}", ratio)
    Console().print(table)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result = {
        "benchmark": "camera",
        "machine": f"{machine}, OpenCV {cv2.__version__}",
        "sets": sets,
        "jpeg_kb": round(kilobytes, 1),
        "cpu_ms": {name: round(cost.cpu_ms, 3) for name, cost in costs.items()},
        "wall_ms": {name: round(cost.wall_ms, 3) for name, cost in costs.items()},
        "preprocess_over_naive": round(costs[PREPROCESS].cpu_ms / base, 3),
        "budget_cpu_ms": BUDGETS_MS,
        "within_budget": all(costs[name].cpu_ms <= ms for name, ms in BUDGETS_MS.items()),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
